//! Sampling. The guest's CLOCK_MONOTONIC counts instructions, but timer interrupts and the kernel's
//! own chores fall into some samples: a batch is shorter than the time between two ticks, so the
//! least of many batches is free of them.

use std::time::Instant;

use anyhow::Result;

use crate::operations::Operation;

/// What one operation costs, in instructions.
pub struct Cost {
    /// The least of all batches.
    pub least: f64,
    /// The median of all batches.
    pub median: f64,
}

/// Measures one operation.
pub fn cost(operation: &mut Operation) -> Result<Cost> {
    for _ in 0..operation.batch.max(20) {
        (operation.run)()?;
    }
    let mut batches = Vec::with_capacity(operation.batches);
    for _ in 0..operation.batches {
        let started = Instant::now();
        for _ in 0..operation.batch {
            (operation.run)()?;
        }
        // Exact: a batch takes well under 2^52 instructions.
        let nanos = started.elapsed().as_secs_f64() * 1e9;
        batches.push(nanos / f64::from(operation.batch));
    }
    batches.sort_by(f64::total_cmp);
    Ok(Cost {
        least: batches[0],
        median: batches[batches.len() / 2],
    })
}
