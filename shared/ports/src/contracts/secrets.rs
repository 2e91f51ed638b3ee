//! The contract of [`Secrets`].

use async_trait::async_trait;

use crate::{
    error::ErrorKind,
    secrets::{Secret, SecretName, Secrets},
};

/// What the rules need of a place that secrets are in.
#[async_trait]
pub trait SecretsPeer: Send + Sync {
    /// The adapter.
    fn secrets(&self) -> &dyn Secrets;

    /// Puts a secret where the adapter finds it, as a person or an administrator would.
    async fn put(&self, name: &SecretName, value: &[u8]);
}

/// Every rule.
pub async fn all(peer: &dyn SecretsPeer) {
    run_rules!((peer):
        a_secret_is_found_byte_for_byte,
        two_secrets_are_told_apart,
        a_secret_that_is_not_there_is_not_found_and_named,
        a_secret_never_prints_itself,
    );
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

/// With every character that a quoting mistake would change, and those that are none.
pub async fn a_secret_is_found_byte_for_byte(peer: &dyn SecretsPeer) {
    for (secret, value) in [("text", "p\u{e4}ss \"w$rd\" %41\\n".as_bytes()), ("bytes", &[0, 159, 255, 10, 10][..])] {
        peer.put(&name(secret), value).await;
        assert_eq!(peer.secrets().get(&name(secret)).await.unwrap().expose(), value, "{secret}");
    }
    let bytes = peer.secrets().get(&name("bytes")).await.unwrap();
    assert_eq!(bytes.expose_text().unwrap_err().kind(), ErrorKind::Invalid);
}

/// Names that differ little are different names.
pub async fn two_secrets_are_told_apart(peer: &dyn SecretsPeer) {
    peer.put(&name("crm-1"), b"one").await;
    peer.put(&name("crm-11"), b"eleven").await;
    assert_eq!(peer.secrets().get(&name("crm-1")).await.unwrap().expose_text().unwrap(), "one");
    assert_eq!(peer.secrets().get(&name("crm-11")).await.unwrap().expose_text().unwrap(), "eleven");
}

/// And found once it is there: that it was not is not remembered.
pub async fn a_secret_that_is_not_there_is_not_found_and_named(peer: &dyn SecretsPeer) {
    let missing = name("not-there-yet");
    let error = peer.secrets().get(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("not-there-yet"), "{error}");
    peer.put(&missing, b"now").await;
    assert_eq!(peer.secrets().get(&missing).await.unwrap().expose(), b"now");
}

/// Neither itself nor through the adapter that may hold it.
pub async fn a_secret_never_prints_itself(peer: &dyn SecretsPeer) {
    let value = "correct-horse-battery";
    peer.put(&name("printed"), value.as_bytes()).await;
    let secret: Secret = peer.secrets().get(&name("printed")).await.unwrap();
    let printed = format!("{secret} {secret:?} {secret:#?} {:?}", peer.secrets());
    assert!(!printed.contains(value) && !printed.contains(&format!("{:?}", value.as_bytes())), "{printed}");
}
