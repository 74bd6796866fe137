//! `keyquake plan`: print the plan that a seed draws.

use crate::cli::PlanArgs;
use crate::exit::{Done, Failure, input};
use crate::plan::Plan;

/// Prints the plan as the TOML that `run --plan` takes.
pub fn print(args: Box<PlanArgs>) -> Result<Done, Failure> {
    let programs = args.programs.given().map_err(input)?;
    let plan = Plan::draw(&args.shape, &programs, None).map_err(input)?;
    print!("{}", plan.to_toml()?);
    Ok(Done::Fine)
}
