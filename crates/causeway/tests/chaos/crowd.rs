//! Rooms full of members on all nodes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use causeway_protocol::Moment;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::book::{Book, Finding, Tally, Violation};
use crate::doors::Doors;
use crate::http;
use crate::life::{Life, Order, now};

/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(50);
/// Orders that wait for a member that has no socket; more are not given.
const ORDERS: usize = 8;

/// One room of a crowd.
pub struct Room {
    pub name: String,
    pub book: Arc<Mutex<Book>>,
    /// All of its members are on this node.
    pub home: Option<usize>,
    orders: Vec<mpsc::Sender<Order>>,
    /// Something happened to its home, which is over since then.
    shaken: Mutex<Shaken>,
}

/// What happens to a room's home.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shaken {
    No,
    Now,
    Until(Moment),
    /// It handed the room over.
    Moved,
}

/// How many members a room has, and whether they are all on one node.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub members: usize,
    pub home: Option<usize>,
}

/// Everybody. They end when it is dropped.
pub struct Crowd {
    pub rooms: Arc<Vec<Room>>,
    talking: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

impl Crowd {
    /// Makes the rooms and sends the members in.
    pub async fn gather(doors: &Arc<Doors>, layouts: &[Layout], seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (talking, hear) = watch::channel(true);
        let (mut rooms, mut tasks) = (Vec::new(), JoinSet::new());
        for (number, &Layout { members, home }) in layouts.iter().enumerate() {
            // Every node owns some.
            let node = home.unwrap_or(number % doors.count());
            let name = make_room(doors, node).await;
            let aloud = std::env::var_os("CAUSEWAY_CHAOS_ALOUD").is_some();
            let book = Arc::new(Mutex::new(Book::new(members, aloud)));
            let mut orders = Vec::new();
            for member in 0..members {
                let (give, take) = mpsc::channel(ORDERS);
                orders.push(give);
                let life = Life {
                    member,
                    room: name.clone(),
                    book: Arc::clone(&book),
                    doors: Arc::clone(doors),
                    home,
                    node: None,
                    random: StdRng::seed_from_u64(random.random()),
                    orders: take,
                    talking: hear.clone(),
                };
                tasks.spawn(life.live());
            }
            rooms.push(Room { name, book, home, orders, shaken: Mutex::new(Shaken::No) });
        }
        let rooms = Arc::new(rooms);
        tasks.spawn(tend(Arc::clone(&rooms)));
        Self { rooms, talking, tasks: Mutex::new(tasks) }
    }

    /// Whether they talk by themselves.
    pub fn set_talking(&self, talking: bool) {
        self.talking.send_replace(talking);
    }

    /// Waits until everybody has heard everybody of their room since a moment. How long that took since then.
    pub async fn works_since(&self, since: Moment, within: Duration) -> Duration {
        loop {
            self.nobody_fell();
            let now = now();
            let broken: Vec<_> = self.rooms.iter().filter(|room| !room.works_since(since)).collect();
            if broken.is_empty() {
                return now.since(since);
            }
            if now.since(since) > within {
                let rooms: Vec<_> = broken.iter().map(|room| room.told()).collect();
                panic!("rooms do not work after {within:?}:\n{}", rooms.join("\n"));
            }
            sleep(LOOK).await;
        }
    }

    /// A quiet end: everybody says something to everybody once more, and everything has arrived.
    pub async fn last_round(&self, within: Duration) {
        self.set_talking(false);
        let since = now();
        for order in self.rooms.iter().flat_map(|room| &room.orders) {
            order.send(Order::SayToEverybody).await.expect("members live as long as the crowd");
        }
        loop {
            self.nobody_fell();
            let missing: Vec<_> =
                self.rooms.iter().filter(|room| !room.works_since(since) || !room.is_whole()).collect();
            if missing.is_empty() {
                break;
            }
            if now().since(since) > within {
                let rooms: Vec<_> = missing.iter().map(|room| room.told()).collect();
                panic!("what was said last has not arrived after {within:?}:\n{}", rooms.join("\n"));
            }
            sleep(LOOK).await;
        }
        for room in &*self.rooms {
            room.book.lock().unwrap().judge();
        }
    }

    /// Some sockets break, or go silent; each member's with this chance. Rooms on one node are left alone.
    pub fn break_sockets(&self, chance: f64, random: &mut StdRng) {
        for order in self.rooms.iter().filter(|room| room.home.is_none()).flat_map(|room| &room.orders) {
            if random.random_bool(chance) {
                let how = if random.random_bool(0.5) { Order::Break } else { Order::GoSilent };
                // A member with so many orders has enough to do.
                let _full = order.try_send(how);
            }
        }
    }

    /// From here on something happens to this node.
    pub fn shake(&self, node: usize) {
        self.shaken(node, Shaken::Now);
    }

    /// It is over, and the node has its rooms.
    pub fn settle(&self, node: usize) {
        self.shaken(node, Shaken::Until(now()));
    }

    /// The node hands its rooms over: from here on they live elsewhere, and notice what happens to Redis.
    pub fn move_rooms(&self, node: usize) {
        self.shaken(node, Shaken::Moved);
    }

    fn shaken(&self, node: usize, how: Shaken) {
        for room in self.rooms.iter().filter(|room| room.home == Some(node)) {
            let mut shaken = room.shaken.lock().unwrap();
            if *shaken != Shaken::Moved {
                *shaken = how;
            }
            room.book.lock().unwrap().set_undisturbed(None);
        }
    }

    /// A watch that the rooms work again after a moment; it says when the last one did.
    pub fn when_all_work_since(&self, since: Moment) -> impl Future<Output = Duration> + Send + use<> {
        let rooms = Arc::clone(&self.rooms);
        async move {
            while !rooms.iter().all(|room| room.works_since(since)) {
                sleep(LOOK).await;
            }
            now().since(since)
        }
    }

    /// Everything that must not be, with its room.
    pub fn findings(&self) -> Vec<(String, Finding)> {
        let of = |room: &Room| {
            let findings = room.book.lock().unwrap().findings().to_vec();
            findings.into_iter().map(|finding| (room.name.clone(), finding)).collect::<Vec<_>>()
        };
        self.rooms.iter().flat_map(of).collect()
    }

    /// The numbers of all rooms.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for room in &*self.rooms {
            sum += room.book.lock().unwrap().tally();
        }
        sum
    }

    /// A member that panicked is a defect of this test.
    fn nobody_fell(&self) {
        if let Some(ended) = self.tasks.lock().unwrap().try_join_next() {
            std::panic::resume_unwind(ended.expect_err("members live for ever").into_panic());
        }
    }
}

impl Room {
    fn works_since(&self, since: Moment) -> bool {
        self.book.lock().unwrap().works_since(since)
    }

    /// Whether nothing has to be heard any more.
    fn is_whole(&self) -> bool {
        self.book.lock().unwrap().missing().is_empty()
    }

    /// How it stands, for people.
    fn told(&self) -> String {
        let book = self.book.lock().unwrap();
        let missing: Vec<_> = book.missing().iter().take(5).map(Violation::to_string).collect();
        format!(
            "room {} (home {:?}): {}\n  {}\n  {}",
            self.name,
            self.home,
            book.standing(),
            missing.join("\n  "),
            book.last().join("\n  ")
        )
    }
}

/// Rooms whose node is well again must not notice anything from then on.
async fn tend(rooms: Arc<Vec<Room>>) {
    let mut looks = interval(LOOK);
    for room in rooms.iter().filter(|room| room.home.is_some()) {
        *room.shaken.lock().unwrap() = Shaken::Until(now());
    }
    loop {
        looks.tick().await;
        for room in rooms.iter() {
            let mut shaken = room.shaken.lock().unwrap();
            let Shaken::Until(since) = *shaken else { continue };
            if room.works_since(since) {
                *shaken = Shaken::No;
                room.book.lock().unwrap().set_undisturbed(Some(now()));
            }
        }
    }
}

async fn make_room(doors: &Doors, node: usize) -> String {
    let made = http::post(doors.of(node), "/api/v1/rooms", &json!({"capacity": 64})).await.unwrap();
    let room = made.json()["room"].as_str().map(str::to_owned);
    room.unwrap_or_else(|| panic!("no room from node {node}: {made:?}"))
}
