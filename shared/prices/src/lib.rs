//! What things cost: dated price books, and what a job costs under one.
//!
//! In: a [`Book`] (built in, or a file) and what a job runs on ([`Compute`]). Out: the machine that it takes, US dollars an
//! hour, a comparison of the back-ends. Prices and machine types are data (`books/`, `machines.json`); nothing here knows a
//! number.
//!
//! [`Compute`]: millstream_events::compute::Compute

mod book;
mod compare;
mod fit;
mod item;
mod machines;
mod rate;
mod work;

pub use self::{
    book::{Book, BookError, DEFAULT_BOOK, Row},
    compare::{Line, compare},
    fit::{Refusal, machine_for},
    item::{Item, Platform, Unit},
    machines::{Machine, machine, machines},
    rate::{HourlyRate, Part, PriceError},
    work::{Place, Task, Work, WorkLine},
};
