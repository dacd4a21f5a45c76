//! What a data key costs through the C interface, beside the bare cipher and the bare system call.
//!
//! ```text
//! cargo bench --bench data_keys                          the two tables, `time` and `instructions`
//! cargo bench --bench data_keys -- time [ROUNDS]         measured on 1 and on 2 threads
//! cargo bench --bench data_keys -- threads N [ROUNDS]    measured on N threads
//! cargo bench --bench data_keys -- instructions          counted by valgrind: exact, the same every time
//! cargo bench --bench data_keys -- keystores [KEYS …]    how the costs grow with the number of CMKs
//! ```

#![allow(
    unsafe_code,
    reason = "what is measured is called as C calls it, with pointers"
)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program of its own: what fails ends it, and its output is for people"
)]

mod allocations;
mod bare;
mod cases;
mod instructions;
mod keystores;
mod machine;
mod store;
mod time;

const ROUNDS: usize = 9;

fn main() {
    // Cargo adds `--bench` to what the user gave.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = (arguments.iter().map(String::as_str))
        .filter(|argument| *argument != "--bench")
        .collect();
    match arguments[..] {
        [] => {
            machine::print();
            time::print(&[1, 2], ROUNDS);
            println!();
            instructions::print();
        }
        ["time"] => measured(&[1, 2], ROUNDS),
        ["time", rounds] => measured(&[1, 2], number(rounds)),
        ["threads", threads] => measured(&[number(threads)], ROUNDS),
        ["threads", threads, rounds] => measured(&[number(threads)], number(rounds)),
        ["instructions"] => {
            machine::print();
            instructions::print();
        }
        // What `instructions` runs under valgrind.
        ["calls", case, calls] => instructions::calls(case, number(calls)),
        ["keystores"] => keystores::print(&[1, 10_000, 100_000]),
        ["keystores", ref keys @ ..] => {
            keystores::print(&keys.iter().map(|keys| number(keys)).collect::<Vec<_>>());
        }
        _ => {
            panic!("unknown arguments {arguments:?}: the first lines of main.rs name what there is")
        }
    }
}

fn measured(threads: &[usize], rounds: usize) {
    machine::print();
    time::print(threads, rounds);
}

fn number(text: &str) -> usize {
    match text.parse() {
        Ok(number) if number > 0 => number,
        _ => panic!("{text} is not a number above 0"),
    }
}
