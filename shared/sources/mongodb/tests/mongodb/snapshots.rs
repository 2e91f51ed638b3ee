//! What the server is asked for, seen on the wire: SecantusDB says that it reads a snapshot, and reads what is there.

use std::sync::{Arc, Mutex};

use millstream_peers::mongodb::SecantusOptions;
use millstream_ports::{Read, Secret};
use millstream_source_mongodb::MongodbSource;
use mongodb::bson::{Bson, Document, doc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Server, read_all, read_of, table};

/// The protocol's message with one document.
const OP_MSG: [u8; 4] = 2_013_u32.to_le_bytes();

type Commands = Arc<Mutex<Vec<Document>>>;

/// Passes everything on to a server, and keeps the commands. Returns the port.
async fn listen(server: u16, commands: Commands) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) =
                TcpStream::connect(("127.0.0.1", server)).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let commands = Arc::clone(&commands);
            tokio::spawn(async move {
                let mut header = [0; 16];
                while from_client.read_exact(&mut header).await.is_ok() {
                    let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
                    let mut body = vec![0; length - header.len()];
                    from_client.read_exact(&mut body).await.unwrap();
                    // Flags, then a section of the kind 0: the command.
                    if header[12..] == OP_MSG && body[4] == 0 {
                        commands.lock().unwrap().push(Document::from_reader(&body[5..]).unwrap());
                    }
                    to_server.write_all(&header).await.unwrap();
                    to_server.write_all(&body).await.unwrap();
                }
            });
        }
    });
    port
}

/// The read concerns of the aggregations that an extraction in several ranges asks for, with what each is told of `$limit: 1`.
async fn concerns(options: SecantusOptions, parameters: &str) -> (usize, Vec<Document>) {
    let server = Server::start_with(options).await;
    server.collection("items").insert_many((0..50).map(|n| doc! { "_id": n })).await.unwrap();
    let commands = Commands::default();
    let port = listen(server.peer.port(), Arc::clone(&commands)).await;
    let url = format!("mongodb://127.0.0.1:{port}/shop?tls=false&directConnection=true{parameters}");
    let source = MongodbSource::connect(&Secret::new(url), None).await.unwrap();
    let (plan, batch, _) = read_all(&source, &Read { range_rows: 10, ..read_of(table("items")) }).await.unwrap();
    assert_eq!(batch.num_rows(), 50);
    let commands = commands.lock().unwrap();
    let readings = commands.iter().filter(|command| {
        // A reading's batches have their size; samples and looks have the server's.
        command.contains_key("aggregate") && command.get_document("cursor").is_ok_and(|cursor| !cursor.is_empty())
    });
    let concerns = readings.map(|command| command.get_document("readConcern").cloned().unwrap_or_default()).collect();
    assert!(commands.iter().any(|command| command.get("maxTimeMS") == Some(&Bson::Int32(60_000))));
    (plan.ranges.len(), concerns)
}

#[tokio::test]
async fn every_range_is_read_as_of_one_time() {
    let (ranges, concerns) = concerns(SecantusOptions::default(), "").await;
    assert!(ranges > 2);
    assert_eq!(concerns.len(), ranges);
    let first = &concerns[0];
    assert_eq!(first.get_str("level").unwrap(), "snapshot");
    assert!(first.contains_key("atClusterTime"), "{first}");
    assert!(concerns.iter().all(|concern| concern == first), "{concerns:?}");
}

#[tokio::test]
async fn without_snapshots_what_a_majority_has_is_read() {
    let standalone = SecantusOptions { standalone: true, ..SecantusOptions::default() };
    for (options, parameters) in [(standalone, ""), (SecantusOptions::default(), "&snapshot=off")] {
        let (ranges, concerns) = concerns(options, parameters).await;
        assert_eq!(concerns.len(), ranges);
        assert!(concerns.iter().all(|concern| concern.get_str("level").is_ok_and(|level| level == "majority")));
    }
}
