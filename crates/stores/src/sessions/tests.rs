use super::*;
use crate::testing::memory_home;

#[tokio::test]
async fn smoke() {
    let (home, _clock) = memory_home("sessions", Sessions::TRAITS).await;
    let sessions =
        Sessions::new(home, SessionKeys::new(&[1; 32]), Policies::default(), limits::Policies::default());
    let cx = Cx::new();
    let new = NewSession::new(SessionKind::User, Id::new("alice").unwrap());
    let created = sessions.create(&cx, &new).await.unwrap();
    let context = sessions.validate(&cx, &created.token.expose(), None, true).await.unwrap();
    assert_eq!(context.session_id, created.session.id);
}
