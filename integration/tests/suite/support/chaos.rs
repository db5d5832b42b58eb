//! What stands between Sluice and its destination and goes wrong on purpose: a proxy for connections, and a server that
//! answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use sluice_integration::serve::{self, Answer, Handler, Protocol};
use sluice_integration::transport::receive;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the proxy does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Closes it at once.
    Refuse,
    /// Closes it in order after so many bytes of the client.
    Cut(usize),
    /// The same with a reset.
    Reset(usize),
    /// Hands the request on and closes the connection instead of answering.
    Swallow,
    /// Takes everything and hands nothing on.
    Hole,
    /// Keeps each part of it back for this long.
    Delay(Duration),
    /// Lets so many bytes through each hundredth of a second.
    Throttle(usize),
}

/// What happens to connections.
struct Fate {
    fault: Fault,
    /// Whether only the next has it.
    once: bool,
}

/// A proxy to one address.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    fault: Arc<Mutex<Fate>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = Arc::new(Mutex::new(Fate { fault: Fault::None, once: false }));
        let connections = Arc::new(AtomicUsize::new(0));
        let (chosen, counted) = (Arc::clone(&fault), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let fault = chosen.lock().unwrap().take();
                tokio::spawn(connect(client, target, fault));
            }
        });
        Self { address, fault, connections, task }
    }

    /// What happens to connections from now on; open ones stay as they are.
    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Fate { fault, once: false };
    }

    /// What happens to the next connection, and to none after it.
    pub(crate) fn set_once(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Fate { fault, once: true };
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Fate {
    fn take(&mut self) -> Fault {
        if self.once { std::mem::replace(&mut self.fault, Fault::None) } else { self.fault }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(client: TcpStream, target: SocketAddr, fault: Fault) {
    if fault == Fault::Refuse {
        return;
    }
    let server = TcpStream::connect(target).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let passed = AtomicUsize::new(0);
    let back = async {
        let mut part = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from_server.read(&mut part).await {
            match fault {
                // Settings and the like pass; what comes once the request is through does not.
                Fault::Swallow if passed.load(Ordering::Relaxed) > 300 => return,
                Fault::Hole => continue,
                Fault::Delay(delay) => tokio::time::sleep(delay).await,
                _ => {}
            }
            if to_client.write_all(&part[..count]).await.is_err() {
                return;
            }
        }
    };
    let forth = async {
        let mut part = vec![0; if let Fault::Throttle(size) = fault { size } else { 64 << 10 }];
        while let Ok(count @ 1..) = from_client.read(&mut part).await {
            let passed = passed.fetch_add(count, Ordering::Relaxed) + count;
            match fault {
                Fault::Cut(limit) | Fault::Reset(limit) if passed > limit => return,
                Fault::Hole => continue,
                Fault::Delay(delay) => tokio::time::sleep(delay).await,
                Fault::Throttle(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                _ => {}
            }
            if to_server.write_all(&part[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = back => {}
        () = forth => {}
    }
    if let Fault::Reset(_) = fault
        && let Ok(client) = from_client.reunite(to_client)
    {
        // Closing without waiting for what was not sent is a reset.
        let _ = client.set_zero_linger();
    }
}

type Script = Box<dyn Fn(usize) -> Answer + Send + Sync>;

/// A server that answers as it is told, whatever it is asked.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    script: Mutex<Script>,
    requests: AtomicUsize,
}

impl Scripted {
    pub(crate) async fn start(protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Script = Box::new(|_| serve::http(500, "text/plain", "no script"));
        let state = Arc::new(State { script: Mutex::new(script), requests: AtomicUsize::new(0) });
        let task = tokio::spawn(serve::serve(listener, protocol, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// What is answered from now on, by the number of the request. Counting begins anew.
    pub(crate) fn follow(&self, script: impl Fn(usize) -> Answer + Send + Sync + 'static) {
        *self.state.script.lock().unwrap() = Box::new(script);
        self.state.requests.store(0, Ordering::Relaxed);
    }

    /// How many requests there were since.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Handler for State {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Answer> {
        Box::pin(async move {
            let _ = receive(request.into_body()).await;
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            (self.script.lock().unwrap())(number)
        })
    }
}
