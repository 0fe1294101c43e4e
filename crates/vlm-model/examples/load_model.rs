//! Loads a model folder and prints what was found, how long a gigabyte took and how much host
//! memory it needed.
//!
//! ```text
//! cargo run --release -p vlm-model --example load_model -- FOLDER [f32|bf16|f16] [auto|cpu|cuda:N]
//! ```
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::path::Path;

use burn::tensor::DType;
use vlm_model::{DeviceChoice, Precision, discover, load, tensor_plan};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("expected a folder")?;
    let precision: Precision = args.next().map_or(Ok(Precision::default()), |name| name.parse())?;
    let device = args.next().map_or(Ok(DeviceChoice::Auto), |name| name.parse())?.open()?;

    let (config, files, _) = discover(Path::new(&folder))?;
    let n_parameters: usize = tensor_plan(&config).iter().map(|t| t.shape.iter().product::<usize>()).sum();
    println!("{n_parameters} parameters, {precision} on {device:?}");
    let before = peak_memory();
    let mut shown = 0;
    let mut progress = |done: u64, total: u64| {
        let percent = (done * 100).checked_div(total).unwrap_or(100);
        if percent >= shown + 10 || done == total {
            shown = percent;
            println!("{percent} % of {} MB", total / 1_000_000);
        }
    };
    let (model, report) = load(&files, &config, precision, &device, &mut progress)?;
    device.sync()?;
    println!("{report}");
    println!("{:.1} s, {:.2} s per GB of files", report.seconds, report.seconds_per_gb());

    let element = match model.language_model.dtype() {
        DType::F32 => 4,
        _ => 2,
    };
    let size = (n_parameters * element) as u64;
    println!("model: {} MB in {element}-byte numbers", size / 1_000_000);
    match (before, peak_memory()) {
        (Some(before), Some(peak)) => println!(
            "host memory: {} MB before, {} MB at the peak, {} MB more",
            before / 1_000_000,
            peak / 1_000_000,
            (peak - before) / 1_000_000
        ),
        _ => println!("host memory: this system does not tell"),
    }
    Ok(())
}

/// The most host memory that this process ever held, bytes; mapped files count.
fn peak_memory() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
