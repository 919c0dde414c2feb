//! Retrying a notification: staff says that it is worth another day of tries.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::{exists, select},
    sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    problem::{Code, Problem},
    types::NotificationId,
};

use super::{Notification, NotificationState};
use crate::{
    Notify,
    schema::{mail, notification},
};

/// Makes a failed or waiting notification due now. One that is sent, or is just being sent, is left alone; one
/// whose mail is gone cannot be sent.
pub(crate) async fn retry(notify: &Notify, id: NotificationId) -> Result<Notification, Problem> {
    let mut tx = notify.database.begin().await?;
    let state: NotificationState = notification::table
        .find(id)
        .select(notification::state)
        .for_update()
        .first(&mut tx)
        .await
        .optional()?
        .ok_or_else(|| Problem::not_found("notification"))?;
    if !matches!(state, NotificationState::Failed | NotificationState::Queued) {
        return Err(Problem::new(
            Code::Conflict,
            format!("The notification is {state}; only a failed or queued one is tried again."),
        ));
    }
    // Under the lock, so that it cannot be deleted from now on.
    let kept: bool = select(exists(mail::table.find(id))).get_result(&mut tx).await?;
    if !kept {
        let detail = "The mail was deleted thirty days after the last try and cannot be sent any more.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let in_a_day = diesel::dsl::sql::<sql_types::Timestamptz>("now() + interval '1 day'");
    let retried = diesel::update(notification::table.find(id))
        .set((
            notification::state.eq(NotificationState::Queued),
            notification::next_try_at.eq(diesel::dsl::now),
            notification::give_up_at.eq(in_a_day),
        ))
        .returning(Notification::as_returning())
        .get_result(&mut tx)
        .await?;
    tx.wake(&notify.due);
    tx.commit().await?;
    Ok(retried)
}
