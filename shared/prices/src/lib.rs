//! What things cost: dated price books, and what a job costs under one.
