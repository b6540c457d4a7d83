//! The connections that write.
//!
//! sqlx hands out the row of `… RETURNING` as soon as it has it, before the statement has ended:
//! whether it was committed is not known then, and a commit that fails is never heard of. Through a
//! [`Writer`] every statement is seen to its end first.

use std::ops::Deref;

use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::any::{Any, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{AnyPool, Either, Execute, Executor, SqlStr};

/// Connections that write: an executor for statements, and a pool to begin transactions on. Clones
/// share them.
#[derive(Clone, Debug)]
pub struct Writer(AnyPool);

// === impl Writer ===

impl Writer {
    pub(super) fn new(pool: AnyPool) -> Self {
        Self(pool)
    }
}

impl Deref for Writer {
    type Target = AnyPool;

    fn deref(&self) -> &AnyPool {
        &self.0
    }
}

impl<'p> Executor<'p> for &'_ Writer {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        (&self.0).fetch_many(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let mut steps = (&self.0).fetch_many(query);
        Box::pin(async move {
            let mut first = None;
            while let Some(step) = steps.try_next().await? {
                if let Either::Right(row) = step {
                    first.get_or_insert(row);
                }
            }
            Ok(first)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        (&self.0).prepare_with(sql, parameters)
    }
}
