// Keeps a page of the console up to date. Every page works without it.
//
// Nothing here makes markup out of text: what is shown comes from this server, parsed by the browser
// (XMLHttpRequest's "document", which runs no script), and is moved as nodes.
'use strict';
(() => {
  const LINGER = 8000; // how long a card that is no longer waiting stays where somebody may be about to click
  const all = query => [...document.querySelectorAll(query)];

  // --- The one-time link: its code is in the fragment, which is never sent by itself.
  const takeCode = () => {
    const field = document.getElementById('code');
    if (!field || !/^#[\w-]{43}$/.test(location.hash)) return;
    field.value = location.hash.slice(1);
    history.replaceState(null, '', location.pathname + location.search);
    document.getElementById('code-field').hidden = true;
    field.form.querySelector('button').focus();
  };
  takeCode();
  addEventListener('hashchange', takeCode);

  const topics = document.body.dataset.live;
  if (!topics) return;

  // --- Times.
  const distance = seconds => {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
    return `${Math.floor(s / 86400)} d`;
  };
  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const tick = () => {
    const now = Date.now();
    for (const time of all('time[data-age]')) say(time, `${distance((now - Date.parse(time.dateTime)) / 1000)} ago`);
    for (const time of all('time[data-left]')) {
      const seconds = (Date.parse(time.dateTime) - now) / 1000;
      say(time, `${distance(seconds)} left`);
      time.classList.toggle('soon', seconds < 60);
    }
  };
  setInterval(tick, 1000);

  // --- Parts.
  const isBusy = card => card.matches(':hover, :focus-within') || [...card.querySelectorAll('textarea')].some(note => note.value);
  const leave = card => {
    if (isBusy(card)) setTimeout(leave, LINGER, card);
    else card.remove();
  };
  const settle = card => {
    if (card.classList.contains('gone')) return;
    if (!card.querySelector('form')) return card.remove();
    card.classList.add('gone');
    for (const button of card.querySelectorAll('button')) button.disabled = true;
    for (const note of card.querySelectorAll('textarea')) note.readOnly = true;
    card.querySelector('.wrong').textContent = 'No longer waiting: answered elsewhere, withdrawn or expired.';
    setTimeout(leave, LINGER, card);
  };
  const merge = (part, fresh) => {
    const wanted = new Set([...fresh.children].map(card => card.id));
    for (const card of [...part.children]) if (!wanted.has(card.id)) settle(card);
    for (const card of [...fresh.children]) {
      if (document.getElementById(card.id)) continue;
      card.classList.add('new');
      part.append(card);
    }
  };
  const patch = page => {
    document.title = page.title;
    for (const fresh of page.querySelectorAll('[data-part]')) {
      const part = document.getElementById(fresh.id);
      if (!part) continue;
      if ('keyed' in fresh.dataset) merge(part, fresh);
      else if (part.innerHTML !== fresh.innerHTML) part.replaceChildren(...fresh.childNodes);
    }
    tick();
  };

  // --- Requests. A page that is not the one asked for is the login: go there.
  const request = (method, path, body, done, failed) => {
    const call = new XMLHttpRequest();
    call.open(method, path);
    call.responseType = 'document';
    call.timeout = 20000;
    if (method === 'GET') call.setRequestHeader('X-Thoth-Live', '1');
    call.onload = () => {
      const page = call.response;
      if (!page || !page.body.dataset.live) return call.status < 400 ? location.reload() : failed(page);
      done(page);
    };
    call.onerror = call.ontimeout = () => failed(null);
    call.send(body);
  };
  let asking = false, again = false;
  const refresh = () => {
    if (asking) { again = true; return; }
    asking = true;
    const next = () => { asking = false; if (again) { again = false; refresh(); } };
    // The notice is of an answer that was given before; it is not asked for again.
    request('GET', location.pathname, null, page => {
      const notice = page.getElementById('notice');
      if (notice) notice.remove();
      patch(page);
      next();
    }, next);
  };

  // --- Answers, without leaving what is being typed elsewhere.
  document.addEventListener('submit', event => {
    const form = event.target;
    if (!('answer' in form.dataset) || !event.submitter) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form));
    body.append(event.submitter.name, event.submitter.value);
    const buttons = [...form.querySelectorAll('button')];
    const wrong = form.querySelector('.wrong');
    for (const button of buttons) button.disabled = true;
    wrong.textContent = '';
    request('POST', form.getAttribute('action'), body, page => {
      form.closest('article').remove();
      patch(page);
      const notice = document.getElementById('notice');
      if (notice) notice.focus();
    }, page => {
      for (const button of buttons) button.disabled = false;
      const sentence = page && page.querySelector('main p:not(.brand)');
      wrong.textContent = sentence ? sentence.textContent : 'The answer did not arrive. Try again.';
    });
  });

  // --- Changes.
  const live = document.getElementById('live');
  const tell = (text, name) => {
    live.hidden = false;
    live.dataset.state = name;
    say(live, text);
  };
  const wanted = new Set(topics.split(' '));
  const listen = () => {
    const stream = new EventSource('/console/live');
    stream.onopen = () => { tell('Live', 'on'); refresh(); };
    stream.addEventListener('changed', event => {
      if (event.data.split(' ').some(topic => wanted.has(topic))) refresh();
    });
    stream.addEventListener('ended', () => { stream.close(); tell('Logged out', 'off'); location.reload(); });
    stream.onerror = () => {
      tell('Reconnecting…', 'off');
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => { refresh(); listen(); }, 10000);
    };
    addEventListener('pagehide', () => stream.close(), { once: true });
  };
  listen();
})();
