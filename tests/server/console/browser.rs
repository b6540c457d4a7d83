//! What a browser does with the console: keeps cookies, says where requests come from.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use futures_util::StreamExt;
use tower::ServiceExt;

/// A browser without a screen.
pub(crate) struct Browser {
    router: Router,
    cookies: BTreeMap<String, String>,
}

/// An answer.
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// An answer that does not end.
pub(crate) struct Streamed {
    pub(crate) kind: String,
    body: axum::body::BodyDataStream,
}

impl Browser {
    pub(crate) fn new(router: Router) -> Self {
        Self { router, cookies: BTreeMap::new() }
    }

    /// Its cookies, as it sends them.
    pub(crate) fn cookies(&self) -> String {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    pub(crate) fn set_cookie(&mut self, cookie: &str) {
        if let Some((name, value)) = cookie.split_once('=') {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Follows a link of the console's own.
    pub(crate) async fn get(&mut self, path: &str) -> Shown {
        self.send(Method::GET, path, &[("sec-fetch-site", "same-origin")], None).await
    }

    /// Only what an answer is headed with.
    pub(crate) async fn head(&mut self, path: &str) -> Shown {
        self.send(Method::HEAD, path, &[("sec-fetch-site", "same-origin")], None).await
    }

    /// Sends a form of the console's own.
    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Shown {
        self.send(Method::POST, path, &[("sec-fetch-site", "same-origin")], Some(form)).await
    }

    pub(crate) async fn log_in(&mut self, code: &str) -> Shown {
        self.post("/console/login", &[("code", code), ("to", "/console")]).await
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Shown {
        let answer = self.ask(method, path, headers, form).await;
        let (head, body) = answer.into_parts();
        for line in head.headers.get_all("set-cookie") {
            self.set_cookie(line.to_str().unwrap().split(';').next().unwrap());
        }
        let text = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        Shown { status: head.status, headers: head.headers, text }
    }

    pub(crate) async fn stream(&mut self, path: &str) -> Streamed {
        let answer = self.ask(Method::GET, path, &[("sec-fetch-site", "same-origin")], None).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        Streamed { kind, body: answer.into_body().into_data_stream() }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            request = request.header("cookie", self.cookies());
        }
        let body = match form {
            Some(form) => {
                request = request.header("content-type", "application/x-www-form-urlencoded");
                Body::from(encoded(form))
            }
            None => Body::empty(),
        };
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }
}

impl Shown {
    /// One header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where it leads.
    pub(crate) fn to(&self) -> &str {
        self.header("location")
    }

    /// The token of its forms.
    pub(crate) fn form_token(&self) -> &str {
        let (_, rest) = self.text.split_once(r#"name="form_token" value=""#).unwrap();
        rest.split_once('"').unwrap().0
    }
}

impl Streamed {
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame = self.body.next().await?.unwrap();
        Some(String::from_utf8(frame.to_vec()).unwrap())
    }
}

/// A form as it is sent.
pub(crate) fn encoded(form: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs: Vec<_> =
        form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}
