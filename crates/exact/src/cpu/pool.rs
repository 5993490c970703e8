//! Threads that share out the tasks of one kernel after another.
//!
//! A kernel calls [`Pool::run`] once per operation, thousands of times a second, so a run costs about a
//! microsecond and allocates nothing. One atomic word holds the number of tasks and the next ticket; whoever
//! draws a ticket below the number runs that task. The caller draws too, and at the end waits only for tasks that
//! somebody has drawn: a helper that the operating system has put aside delays nobody.
//!
//! Which thread runs which task is left to chance. Tasks write to disjoint places, so the bits do not depend on it.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// How long an idle helper looks for work before it sleeps: some tens of microseconds, the gap between operations.
const IDLE_SPINS: u32 = 2_000;
/// How long the caller looks for the end of the others' last tasks before it sleeps.
const WAIT_SPINS: u32 = 10_000;

/// Worker threads for the kernels of one or several sessions. Dropping it ends them.
pub struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// Held for the length of a run: callers on several threads take turns.
    turn: Mutex<()>,
}

type Task<'a> = dyn Fn(usize, usize) + Sync + 'a;

struct Shared {
    /// `tasks << 32 | next`. A ticket is drawn by adding one; it is valid if below `tasks`.
    tickets: AtomicU64,
    /// The task of the current run. Written by the caller while no valid ticket is out; read by holders of one.
    task: UnsafeCell<*const Task<'static>>,
    /// Tasks of the current run that have ended.
    done: AtomicU32,
    /// Helpers asleep or about to be.
    sleeping: AtomicUsize,
    /// The caller is asleep or about to be.
    waiting: AtomicBool,
    stop: AtomicBool,
    /// Guards the two conditions: a sleeper looks again under it before it sleeps.
    lock: Mutex<()>,
    work: Condvar,
    end: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `task` is written only by the caller that holds `turn`, while no valid ticket is out, and read only by holders
// of a valid ticket; the tickets' release store and acquire read-modify-write order the two.
unsafe impl Sync for Shared {}
// SAFETY: the raw pointer in `task` is to a `Sync` closure and is used only as said above.
unsafe impl Send for Shared {}

thread_local! {
    /// Whether this thread is inside a task: a run from there would wait for itself.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool of `threads` threads, the caller's being one of them (so `new(1)`, or 0, starts none).
    ///
    /// If the system gives fewer, the pool works with those: see [`Pool::threads`].
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            tickets: AtomicU64::new(0),
            task: UnsafeCell::new(std::ptr::null::<fn(usize, usize)>() as *const Task<'static>),
            done: AtomicU32::new(0),
            sleeping: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            lock: Mutex::new(()),
            work: Condvar::new(),
            end: Condvar::new(),
            panic: Mutex::new(None),
        });
        let helpers = (1..threads)
            .map_while(|worker| {
                let shared = Arc::clone(&shared);
                let name = format!("exact-{worker}");
                thread::Builder::new().name(name).spawn(move || shared.help(worker)).ok()
            })
            .collect();
        Self { shared, helpers, turn: Mutex::new(()) }
    }

    /// How many threads work in a run; workers are numbered below this.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `task(i, worker)` once for each `i` below `tasks`, on any of the pool's threads, and returns when all have
    /// ended. No two tasks that run at one time have the same `worker`.
    ///
    /// # Panics
    /// With the panic of a task, after the tasks on other threads have ended; and when called from inside a task.
    pub(crate) fn run<F: Fn(usize, usize) + Sync>(&self, tasks: usize, task: &F) {
        assert!(!INSIDE.get(), "Pool::run called from inside a task of a pool");
        let _turn = lock(&self.turn);
        if self.helpers.is_empty() || tasks <= 1 {
            let _inside = Inside::enter();
            (0..tasks).for_each(|i| task(i, 0));
            return;
        }
        // The ticket word counts in 32 bits, and draws beyond the end must not carry into the upper half.
        let batch = 1 << 24;
        for first in (0..tasks).step_by(batch) {
            let count = batch.min(tasks - first) as u32;
            self.run_batch(count, &|i: usize, worker: usize| task(first + i, worker));
        }
    }

    fn run_batch(&self, tasks: u32, task: &Task<'_>) {
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. The reference is used only by holders of a valid ticket of this run, and
        // this function does not return before all of them have ended.
        let task = unsafe { std::mem::transmute::<&Task<'_>, &'static Task<'static>>(task) };
        // SAFETY: this thread holds `turn`, and the last run ended with all its tickets, so nobody reads `task` now.
        unsafe { *shared.task.get() = task };
        shared.done.store(0, Ordering::Relaxed);
        shared.tickets.store(u64::from(tasks) << 32, Ordering::Release);

        // The fence pairs with the sleepers': either we see one or it sees the tickets.
        fence(Ordering::SeqCst);
        let sleeping = shared.sleeping.load(Ordering::Relaxed);
        if sleeping > 0 {
            drop(lock(&shared.lock));
            for _ in 0..sleeping.min(tasks as usize - 1) {
                shared.work.notify_one();
            }
        }

        shared.draw(0);
        shared.wait(tasks);
        let panic = lock(&shared.panic).take();
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

impl Shared {
    /// Draws tickets and runs their tasks until there are none; says whether it ran any.
    fn draw(&self, worker: usize) -> bool {
        let mut any = false;
        // Looking before drawing keeps idle helpers from counting the word up for ever.
        while has_work(self.tickets.load(Ordering::Relaxed)) {
            let word = self.tickets.fetch_add(1, Ordering::Acquire);
            if !has_work(word) {
                break;
            }
            any = true;
            // SAFETY: the ticket is valid, so the run that `task` belongs to cannot end before `done` counts it.
            let task = unsafe { &**self.task.get() };
            let inside = Inside::enter();
            let result = catch_unwind(AssertUnwindSafe(|| task(word as u32 as usize, worker)));
            drop(inside);
            if let Err(payload) = result {
                lock(&self.panic).get_or_insert(payload);
            }
            let tasks = (word >> 32) as u32;
            // SeqCst, like `wait`'s two accesses: either we see that the caller sleeps or it sees this count.
            if self.done.fetch_add(1, Ordering::SeqCst) + 1 == tasks && self.waiting.load(Ordering::SeqCst) {
                drop(lock(&self.lock));
                self.end.notify_one();
            }
        }
        any
    }

    /// Waits until all tasks have ended. All tickets have been drawn.
    fn wait(&self, tasks: u32) {
        for _ in 0..WAIT_SPINS {
            if self.done.load(Ordering::Acquire) == tasks {
                return;
            }
            std::hint::spin_loop();
        }
        self.waiting.store(true, Ordering::SeqCst);
        let mut guard = lock(&self.lock);
        while self.done.load(Ordering::SeqCst) != tasks {
            guard = self.end.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.waiting.store(false, Ordering::Relaxed);
    }

    /// The life of a helper.
    fn help(&self, worker: usize) {
        let mut spins = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if self.draw(worker) {
                spins = 0;
            } else if spins < IDLE_SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                spins = 0;
                self.sleep();
            }
        }
    }

    fn sleep(&self) {
        let mut guard = lock(&self.lock);
        self.sleeping.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        while !has_work(self.tickets.load(Ordering::Relaxed)) && !self.stop.load(Ordering::Relaxed) {
            guard = self.work.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleeping.fetch_sub(1, Ordering::Relaxed);
    }
}

fn has_work(word: u64) -> bool {
    (word as u32) < (word >> 32) as u32
}

/// Marks the thread as inside a task while it lives.
struct Inside;

impl Inside {
    fn enter() -> Self {
        INSIDE.set(true);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let _guard = lock(&self.shared.lock);
            self.shared.stop.store(true, Ordering::Relaxed);
        }
        self.shared.work.notify_all();
        for helper in self.helpers.drain(..) {
            // A helper catches its tasks' panics, so joining it cannot fail.
            let _ = helper.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pool: &Pool, tasks: usize) {
        let seen: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
        let busy: Vec<AtomicBool> = (0..pool.threads()).map(|_| AtomicBool::new(false)).collect();
        pool.run(tasks, &|i, worker| {
            assert!(!busy[worker].swap(true, Ordering::SeqCst), "worker {worker} is two threads");
            seen[i].fetch_add(1, Ordering::Relaxed);
            busy[worker].store(false, Ordering::SeqCst);
        });
        assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn every_task_runs_once() {
        for threads in [0, 1, 2, 3, 7] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads.max(1));
            for tasks in [0, 1, 2, 3, 17, 1000] {
                check(&pool, tasks);
            }
        }
    }

    /// A helper that is late for one run meets the next: it must never run an old task or a task twice.
    #[test]
    fn runs_follow_each_other_closely() {
        let pool = Pool::new(4);
        for round in 0..30_000_usize {
            let sum = AtomicUsize::new(0);
            let tasks = 2 + round % 5;
            pool.run(tasks, &|i, _| {
                sum.fetch_add(round * 8 + i, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), tasks * round * 8 + tasks * (tasks - 1) / 2);
        }
    }

    /// Tasks much longer than the spinning make the caller and the helpers sleep and wake.
    #[test]
    fn sleepers_wake() {
        let pool = Pool::new(3);
        for round in 0..40 {
            check(&pool, 3);
            let turns = if round % 2 == 0 { 3_000_000 } else { 0 };
            pool.run(2, &|_, worker| {
                for _ in 0..turns * (worker != 0) as u32 {
                    std::hint::spin_loop();
                }
            });
            for _ in 0..turns {
                std::hint::spin_loop();
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_after_the_other_tasks() {
        let pool = Pool::new(2);
        for _ in 0..100 {
            let ended = AtomicUsize::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(16, &|i, _| {
                    if i == 3 {
                        resume_unwind(Box::new("task 3"));
                    }
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }));
            assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "task 3");
            assert_eq!(ended.into_inner(), 15);
            check(&pool, 5);
        }
    }

    #[test]
    fn callers_on_two_threads_take_turns() {
        let pool = Pool::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..2000).for_each(|n| check(&pool, n % 7)));
            }
        });
    }

    #[test]
    fn a_run_inside_a_run_is_refused() {
        for threads in [1, 2] {
            let pool = Pool::new(threads);
            let result = catch_unwind(AssertUnwindSafe(|| pool.run(2, &|_, _| pool.run(2, &|_, _| ()))));
            assert!(result.is_err());
            check(&pool, 3);
        }
    }

    #[test]
    fn dropping_ends_the_threads() {
        for _ in 0..200 {
            let pool = Pool::new(3);
            check(&pool, 2);
            drop(pool);
        }
    }
}
