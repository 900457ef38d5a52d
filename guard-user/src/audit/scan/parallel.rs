//! Work on blocks by several threads, its results in the order of the log.

use std::collections::HashMap;
use std::io;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Block, Scan};

/// A reader beside a database must not take all of its machine.
const THREADS_MAX: usize = 4;
/// Results that wait for an earlier one, for each thread: bounds what is held in memory.
const AHEAD: usize = 2;

struct Shared<T> {
    /// Blocks that were taken up.
    begun: usize,
    /// Results that were handed on.
    taken: usize,
    ready: HashMap<usize, io::Result<T>>,
    /// Nobody wants more.
    over: bool,
}

struct Board<T> {
    shared: Mutex<Shared<T>>,
    changed: Condvar,
}

impl<T> Board<T> {
    /// A thread that panicked takes the whole process down with it where its scope ends.
    fn lock(&self) -> MutexGuard<'_, Shared<T>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, Shared<T>>) -> MutexGuard<'a, Shared<T>> {
        self.changed
            .wait(guard)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the others' waiting, whatever way a thread ends.
struct EndsAll<'a, T>(&'a Board<T>);

impl<T> Drop for EndsAll<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().over = true;
            self.0.changed.notify_all();
        }
    }
}

impl Scan {
    /// Reads `blocks`, does `work` on the lines of each in several threads, and hands the results
    /// to `take` in the order of `blocks` until it breaks.
    pub fn in_order<T: Send>(
        &self,
        blocks: &[Block],
        work: impl Fn(&Block, &[u8]) -> T + Sync,
        mut take: impl FnMut(&Block, T) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let threads = std::thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(THREADS_MAX)
            .min(blocks.len().max(1));
        let board = Board {
            shared: Mutex::new(Shared {
                begun: 0,
                taken: 0,
                ready: HashMap::new(),
                over: false,
            }),
            changed: Condvar::new(),
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let _ends = EndsAll(&board);
                    self.work_through(blocks, &board, threads * AHEAD, &work);
                });
            }
            let result = collect(blocks, &board, &mut take);
            board.lock().over = true;
            board.changed.notify_all();
            result
        })
    }

    fn work_through<T: Send>(
        &self,
        blocks: &[Block],
        board: &Board<T>,
        ahead: usize,
        work: &(impl Fn(&Block, &[u8]) -> T + Sync),
    ) {
        let mut buffer = Vec::new();
        loop {
            let mut shared = board.lock();
            while !shared.over
                && shared.begun < blocks.len()
                && shared.begun >= shared.taken + ahead
            {
                shared = board.wait(shared);
            }
            if shared.over || shared.begun >= blocks.len() {
                return;
            }
            let at = shared.begun;
            shared.begun += 1;
            drop(shared);
            let block = &blocks[at];
            let result = self
                .read(block, &mut buffer)
                .map(|lines| work(block, lines));
            board.lock().ready.insert(at, result);
            board.changed.notify_all();
        }
    }
}

fn collect<T>(
    blocks: &[Block],
    board: &Board<T>,
    take: &mut impl FnMut(&Block, T) -> ControlFlow<()>,
) -> io::Result<()> {
    for (at, block) in blocks.iter().enumerate() {
        let mut shared = board.lock();
        let result = loop {
            if let Some(result) = shared.ready.remove(&at) {
                break result;
            }
            if shared.over {
                // A worker panicked; its scope says so.
                return Ok(());
            }
            shared = board.wait(shared);
        };
        shared.taken = at + 1;
        drop(shared);
        board.changed.notify_all();
        if take(block, result?).is_break() {
            return Ok(());
        }
    }
    Ok(())
}
