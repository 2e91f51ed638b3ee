//! A way to the emulator that a test can close: connections end at once, as those to a process that was killed.

use std::net::SocketAddr;

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
    refused: watch::Receiver<u64>,
}

impl Gate {
    /// A gate before `to`, open or not.
    pub async fn new(to: String, open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, mut is_open) = watch::channel(open);
        let (count, refused) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (mut inside, _) = listener.accept().await.unwrap();
                if !*is_open.borrow_and_update() {
                    count.send_modify(|count| *count += 1);
                    continue;
                }
                let (to, mut is_open) = (to.clone(), is_open.clone());
                tokio::spawn(async move {
                    let mut outside = TcpStream::connect(to).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
                        _ = is_open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { address, open, refused }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Ends the connections there are and refuses new ones.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Waits until one more connection was refused.
    pub async fn refusal(&mut self) {
        let before = *self.refused.borrow();
        self.refused.wait_for(|count| *count > before).await.unwrap();
    }
}
