//! Rooms and broadcasts while members join and leave.

use std::collections::VecDeque;

use super::*;
use crate::{
    Target,
    hub::Hub,
    namespace::Namespace,
    rooms::Rooms,
    session::Item,
    socket::{AnySocket, SocketInner},
    sync::AtomicBool,
};

fn member(io: &SocketIo, namespace: &Arc<Namespace<App>>) -> (Arc<Session>, Arc<SocketInner<()>>) {
    let session = session(io, TransportKind::Polling);
    let socket = SocketInner::new(
        session.clone(),
        namespace.clone(),
        Id::random().unwrap(),
        (),
    );
    assert!(AnySocket::admit(socket.clone(), &session, None));
    (session, socket)
}

fn kitchen() -> Target {
    Target {
        namespace: "/".into(),
        rooms: vec!["kitchen".into()],
        ..Target::default()
    }
}

fn namespace(app: &App) -> Arc<Namespace<App>> {
    Arc::new(Namespace {
        name: "/".into(),
        handler: Arc::new(app.clone()),
        rooms: Rooms::default(),
        hub: Arc::new(Hub::new(usize::MAX, None)),
        parent: None,
    })
}

/// A socket joins and leaves rooms, is added to one by others, and ends.
#[test]
fn a_socket_that_has_ended_is_in_no_room() {
    explore(|| {
        let app = App::default();
        let io = server(&app);
        let namespace = namespace(&app);
        let (session, socket) = member(&io, &namespace);
        let key = AnySocket::id(&*socket).key();
        let any: Arc<dyn AnySocket> = socket.clone();
        let spawn = |act: fn(&Rooms, u64, &Arc<dyn AnySocket>)| {
            let (namespace, any) = (namespace.clone(), any.clone());
            thread::spawn(move || act(&namespace.rooms, key, &any))
        };
        let joining = spawn(|rooms, key, any| {
            rooms.join(any, "kitchen", usize::MAX);
            rooms.join(any, "hall", usize::MAX);
            rooms.leave(key, "kitchen");
            rooms.join(any, "kitchen", usize::MAX);
        });
        let joined_by_others = spawn(|rooms, key, _| {
            for socket in rooms.find(&Target::default()) {
                rooms.join(&socket, "hall", usize::MAX);
            }
            rooms.leave(key, "hall");
        });
        any.clone()
            .detach(&session, DisconnectReason::TransportClose);
        joining.join().unwrap();
        joined_by_others.join().unwrap();
        let rooms = &namespace.rooms;
        assert!(
            rooms.is_empty() && rooms.sizes().is_empty() && rooms.of(key).is_empty(),
            "{:?}",
            rooms.sizes()
        );
        assert!(rooms.find(&kitchen()).is_empty());
        assert_eq!(app.count("disconnected"), 1);
    });
}

/// A broadcast reaches every socket that joined before it began, and no socket that left before it
/// began.
#[test]
fn a_broadcast_reaches_earlier_members_and_no_ended_socket() {
    explore(|| {
        let app = App::default();
        let io = server(&app);
        let namespace = namespace(&app);
        let ((staying_session, staying), (going_session, going)) =
            (member(&io, &namespace), member(&io, &namespace));
        let (has_joined, is_gone) = (
            Arc::new(AtomicBool::default()),
            Arc::new(AtomicBool::default()),
        );
        let stay = thread::spawn({
            let (namespace, has_joined) = (namespace.clone(), has_joined.clone());
            move || {
                let any: Arc<dyn AnySocket> = staying.clone();
                namespace.rooms.join(&any, "kitchen", usize::MAX);
                has_joined.store(true, Ordering::SeqCst);
            }
        });
        let go = thread::spawn({
            let (namespace, is_gone, session) =
                (namespace.clone(), is_gone.clone(), going_session.clone());
            move || {
                let any: Arc<dyn AnySocket> = going.clone();
                namespace.rooms.join(&any, "kitchen", usize::MAX);
                any.detach(&session, DisconnectReason::TransportClose);
                is_gone.store(true, Ordering::SeqCst);
            }
        });
        let frames = Packet::event("/", "bell", "1");
        let mut reached = 0;
        for _ in 0..3 {
            let (had_joined, was_gone) = (
                has_joined.load(Ordering::SeqCst),
                is_gone.load(Ordering::SeqCst),
            );
            let (before, gone_before) =
                (staying_session.queued_bytes(), going_session.queued_bytes());
            crate::broadcast::deliver(&*namespace, &kitchen(), &frames);
            let got = (staying_session.queued_bytes() - before) / frames.len();
            assert!(got == 1 || got == 0 && !had_joined, "{got}");
            assert!(!was_gone || going_session.queued_bytes() == gone_before);
            reached += got;
        }
        stay.join().unwrap();
        go.join().unwrap();
        let queued: VecDeque<Item> = staying_session.take_queue(0);
        assert_eq!(
            queued.len(),
            1 + reached,
            "each once, behind the answer to the CONNECT"
        );
        assert_eq!(namespace.rooms.sizes(), [("kitchen".into(), 1)]);
    });
}
