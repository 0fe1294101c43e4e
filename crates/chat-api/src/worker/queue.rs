//! Who is next: clients in turn, each with its own line.

use std::collections::{HashMap, VecDeque};

/// A client, however the HTTP side tells them apart.
pub(crate) type ClientKey = u64;

/// No room in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{waiting} requests are waiting, {limit} at most")]
pub(crate) struct QueueFull {
    pub(crate) waiting: usize,
    pub(crate) limit: usize,
}

/// Bounded lines of many clients, served in turn.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    lines: HashMap<ClientKey, VecDeque<(u64, T)>>,
    /// Clients with a line, the next first.
    turns: VecDeque<ClientKey>,
    n_waiting: usize,
    capacity: usize,
    client_capacity: usize,
    next_id: u64,
}

impl<T> FairQueue<T> {
    pub(crate) fn new(capacity: usize, client_capacity: usize) -> Self {
        Self {
            lines: HashMap::new(),
            turns: VecDeque::new(),
            n_waiting: 0,
            capacity,
            client_capacity,
            next_id: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.n_waiting
    }

    /// Puts something at the end of a client's line; returns its number.
    pub(crate) fn push(&mut self, client: ClientKey, item: T) -> Result<u64, QueueFull> {
        if self.n_waiting >= self.capacity {
            return Err(QueueFull { waiting: self.n_waiting, limit: self.capacity });
        }
        let waiting = self.lines.get(&client).map_or(0, VecDeque::len);
        if waiting >= self.client_capacity {
            return Err(QueueFull { waiting, limit: self.client_capacity });
        }
        let id = self.next_id;
        self.next_id += 1;
        self.put_back(client, id, item);
        Ok(id)
    }

    /// Puts back what was taken out and goes on later, whatever the bounds.
    pub(crate) fn put_back(&mut self, client: ClientKey, id: u64, item: T) {
        let line = self.lines.entry(client).or_default();
        if line.is_empty() {
            self.turns.push_back(client);
        }
        line.push_back((id, item));
        self.n_waiting += 1;
    }

    /// Takes the first of the next client's line; the client goes to the end of the turns.
    pub(crate) fn pop(&mut self) -> Option<(ClientKey, u64, T)> {
        let client = *self.turns.front()?;
        let (id, item) = self.take_head(client)?;
        Some((client, id, item))
    }

    /// Takes, in turn, what stands first in other lines and is `wanted`, up to `most`.
    pub(crate) fn pop_joining(
        &mut self,
        most: usize,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Vec<(ClientKey, u64, T)> {
        let mut joined = Vec::new();
        // Lines get shorter on the way, so go around until a whole round brings nothing.
        let mut left = self.turns.len();
        while joined.len() < most && left > 0 {
            let Some(&client) = self.turns.front() else { break };
            let is_wanted =
                self.lines.get(&client).and_then(VecDeque::front).is_some_and(|(_, item)| wanted(item));
            if is_wanted {
                if let Some((id, item)) = self.take_head(client) {
                    joined.push((client, id, item));
                }
                left = self.turns.len();
            } else {
                self.turns.rotate_left(1);
                left -= 1;
            }
        }
        joined
    }

    /// Takes out one that is given up. It may be gone already.
    pub(crate) fn remove(&mut self, client: ClientKey, id: u64) -> Option<T> {
        let line = self.lines.get_mut(&client)?;
        let place = line.iter().position(|(other, _)| *other == id)?;
        let (_, item) = line.remove(place)?;
        self.n_waiting -= 1;
        if line.is_empty() {
            self.lines.remove(&client);
            self.turns.retain(|other| *other != client);
        }
        Some(item)
    }

    /// Takes out everything.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.turns.clear();
        self.n_waiting = 0;
        self.lines.drain().flat_map(|(_, line)| line).map(|(_, item)| item).collect()
    }

    /// The head of the line of the client whose turn it is.
    fn take_head(&mut self, client: ClientKey) -> Option<(u64, T)> {
        let line = self.lines.get_mut(&client)?;
        let head = line.pop_front()?;
        self.n_waiting -= 1;
        self.turns.retain(|other| *other != client);
        if line.is_empty() {
            self.lines.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop().map(|(_, _, item)| item)).collect()
    }

    #[test]
    fn clients_take_turns() {
        let mut queue = FairQueue::new(10, 10);
        for item in ["a1", "a2", "a3", "a4"] {
            queue.push(1, item).unwrap();
        }
        queue.push(2, "b1").unwrap();
        queue.push(3, "c1").unwrap();
        queue.push(2, "b2").unwrap();
        assert_eq!(order(&mut queue), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn both_bounds_hold() {
        let mut queue = FairQueue::new(3, 2);
        queue.push(1, "a").unwrap();
        queue.push(1, "b").unwrap();
        assert_eq!(queue.push(1, "c"), Err(QueueFull { waiting: 2, limit: 2 }));
        queue.push(2, "d").unwrap();
        assert_eq!(queue.push(3, "e"), Err(QueueFull { waiting: 3, limit: 3 }));
    }

    #[test]
    fn what_is_given_up_leaves_its_place() {
        let mut queue = FairQueue::new(2, 2);
        let a = queue.push(1, "a").unwrap();
        queue.push(2, "b").unwrap();
        assert_eq!(queue.remove(1, a), Some("a"));
        assert_eq!(queue.remove(1, a), None);
        queue.push(3, "c").unwrap();
        assert_eq!(order(&mut queue), ["b", "c"]);
    }

    #[test]
    fn batches_take_heads_in_turn() {
        let mut queue = FairQueue::new(10, 10);
        for (client, item) in [(1, "a1"), (1, "a2"), (2, "long"), (2, "b2"), (3, "c1"), (3, "c2")] {
            queue.push(client, item).unwrap();
        }
        assert_eq!(queue.pop().map(|(_, _, item)| item), Some("a1"));
        let joined: Vec<_> =
            queue.pop_joining(2, |item| item.len() == 2).into_iter().map(|(_, _, item)| item).collect();
        assert_eq!(joined, ["c1", "a2"]);
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.drain().len(), 3);
        assert!(queue.pop().is_none());
    }

    #[test]
    fn a_batch_can_take_everything() {
        let mut queue = FairQueue::new(10, 10);
        for client in [1, 1, 2] {
            queue.push(client, client).unwrap();
        }
        assert_eq!(queue.pop_joining(9, |_| true).len(), 3);
        assert_eq!(queue.len(), 0);
    }
}
