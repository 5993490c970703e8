//! `calendar_arithmetic`: weekdays, leap years, days between dates.

use super::date::{Date, MONTHS, WEEKDAYS, days_of_month, is_leap};
use crate::dice::Dice;
use crate::environment::Task;
use crate::exp::exp;
use crate::family::{Family, Problem, Unfit, within};
use crate::python;
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Questions about dates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalendarArithmetic {
    /// The year the dates are in.
    pub year: u32,
    /// What may be asked; anything, if it is not said.
    pub tasks: Option<Vec<CalendarTask>>,
    /// The most days between two dates.
    pub offset_upper_bound: u32,
    /// How many years around [`CalendarArithmetic::year`] may be asked to be leap years or not.
    pub leap_year_range: u32,
}

/// A kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarTask {
    /// The weekday some days before or after a day.
    WeekdayOffset,
    /// The weekday of a date.
    WeekdayOfDate,
    /// The weekday of a date, told that of the first of January.
    WeekdayOfDateFromFirstDate,
    /// The date of, say, the second Tuesday of a month.
    RecurringEventDay,
    /// How often a weekday comes between two dates.
    CountDays,
    /// How many days from Monday to Friday come between two dates.
    CountBusinessDays,
    /// Whether a year is a leap year.
    IsLeapYear,
}

impl CalendarTask {
    /// All of them.
    pub const ALL: [CalendarTask; 7] = [
        CalendarTask::WeekdayOffset,
        CalendarTask::WeekdayOfDate,
        CalendarTask::WeekdayOfDateFromFirstDate,
        CalendarTask::RecurringEventDay,
        CalendarTask::CountDays,
        CalendarTask::CountBusinessDays,
        CalendarTask::IsLeapYear,
    ];
}

impl Default for CalendarArithmetic {
    fn default() -> CalendarArithmetic {
        CalendarArithmetic { year: 2022, tasks: None, offset_upper_bound: 100, leap_year_range: 200 }
    }
}

impl Family for CalendarArithmetic {
    const NAME: &'static str = "calendar_arithmetic";

    fn levels() -> Vec<CalendarArithmetic> {
        use CalendarTask::{IsLeapYear, WeekdayOfDate, WeekdayOffset};
        let all = CalendarArithmetic::default();
        vec![
            CalendarArithmetic { tasks: Some(vec![WeekdayOffset]), ..all.clone() },
            CalendarArithmetic { tasks: Some(vec![WeekdayOffset, WeekdayOfDate, IsLeapYear]), ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        within("year", self.year, 1..=9000)?;
        within("offset_upper_bound", self.offset_upper_bound, 1..=100_000)?;
        within("leap_year_range", self.leap_year_range, 0..=10_000)?;
        let count = self.tasks.as_ref().map_or(1, Vec::len);
        if count == 0 || count > 64 {
            let wanted = "1 to 64 kinds of questions, or null for all";
            return Err(Unfit::Choice { parameter: "tasks", value: format!("{count} tasks"), wanted });
        }
        Ok(())
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let tasks = self.tasks.as_deref().unwrap_or(&CalendarTask::ALL);
        match dice.pick(tasks).copied().unwrap_or(CalendarTask::WeekdayOffset) {
            CalendarTask::WeekdayOffset => self.weekday_offset(dice),
            CalendarTask::WeekdayOfDate => self.weekday_of_date(dice),
            CalendarTask::WeekdayOfDateFromFirstDate => self.weekday_from_first(dice),
            CalendarTask::RecurringEventDay => self.recurring_event(dice),
            CalendarTask::CountDays => self.count_days(dice),
            CalendarTask::CountBusinessDays => self.count_business_days(dice),
            CalendarTask::IsLeapYear => self.leap_year(dice),
        }
    }

    /// Another weekday is worth a tenth, one that is not written as a name half of that. Counts are worth the less the further they are off.
    fn score(task: &Task, answer: &str) -> f64 {
        if answer.is_empty() {
            return 0.0;
        }
        let given = python::strip(answer);
        match task.data.get("task").and_then(Value::as_str).unwrap_or("") {
            "weekday_offset" | "weekday_of_date" | "weekday_of_date_from_first_date" => {
                if given == task.answer {
                    1.0
                } else if WEEKDAYS.contains(&given) {
                    0.1
                } else if given.len() < 64 && WEEKDAYS.contains(&python::title(given).as_str()) {
                    0.05
                } else {
                    0.0
                }
            }
            "count_days" | "count_business_days" | "recurring_event_day" => {
                let (Some(given), Some(right)) = (python::int(given), python::int(&task.answer)) else {
                    return 0.0;
                };
                closeness(&given, &right)
            }
            "is_leap_year" => f64::from(u8::from(given.to_lowercase() == task.answer.to_lowercase())),
            _ => 0.0,
        }
    }

    fn shorten(answer: &str) -> String {
        answer.to_lowercase()
    }

    fn expand(short: &str) -> String {
        python::title(short)
    }
}

/// Less by a factor of `e` for every fifth part of the right number that it is off.
fn closeness(given: &BigInt, right: &BigInt) -> f64 {
    if *right <= BigInt::ZERO {
        return f64::from(u8::from(given == right));
    }
    let off = given - right;
    match (i64::try_from(off), i64::try_from(right)) {
        (Ok(off), Ok(right)) => exp(-5.0 * (off.unsigned_abs() as f64 / right as f64)),
        _ => 0.0,
    }
}

impl CalendarArithmetic {
    fn in_year(&self) -> i64 {
        i64::from(self.year)
    }

    fn any_date(&self, dice: &mut Dice) -> Date {
        let month = dice.size(1, 12);
        Date::new(self.in_year(), month, dice.between(1, days_of_month(self.in_year(), month)))
    }

    /// A day of the year, and one not before it and not too long after it.
    fn two_dates(&self, dice: &mut Dice, within_year: bool) -> (Date, Date) {
        let (first, last) = (Date::new(self.in_year(), 1, 1), Date::new(self.in_year(), 12, 31));
        let length = last.number() - first.number();
        let start = first.after(dice.between(0, length));
        let mut most = i64::from(self.offset_upper_bound);
        if within_year {
            most = most.min(last.number() - start.number());
        }
        (start, start.after(dice.between(0, most)))
    }

    fn weekday_offset(&self, dice: &mut Dice) -> Problem {
        let start = self.any_date(dice);
        let days = dice.between(1, i64::from(self.offset_upper_bound));
        let back = dice.chance(0.5);
        let offset = if back { -days } else { days };
        let target = start.after(offset);
        let (day, date) = (start.weekday_name(), start.written());
        let asked = if back {
            format!("was it {days} days earlier")
        } else {
            format!("will it be {days} days later")
        };
        let sign = if back { '-' } else { '+' };
        Problem {
            question: format!(
                "It is {day}, {date}. Which weekday {asked}? Answer with the weekday's full name."
            ),
            compact: format!("wo:{}{sign}{days}=", day.to_lowercase()),
            answer: target.weekday_name().to_owned(),
            data: json!({
                "task": CalendarTask::WeekdayOffset,
                "start_date": start.iso(),
                "offset_days": offset,
                "target_date": target.iso(),
            }),
        }
    }

    fn weekday_of_date(&self, dice: &mut Dice) -> Problem {
        let date = self.any_date(dice);
        Problem {
            question: format!("Which weekday is {}? Answer with the weekday's full name.", date.written()),
            compact: format!("wd:{}=", date.short()),
            answer: date.weekday_name().to_owned(),
            data: json!({ "task": CalendarTask::WeekdayOfDate, "target_date": date.iso() }),
        }
    }

    fn weekday_from_first(&self, dice: &mut Dice) -> Problem {
        let first = Date::new(self.in_year(), 1, 1);
        let most = Date::new(self.in_year(), 12, 31).number() - first.number();
        let days = dice.between(1, most.min(i64::from(self.offset_upper_bound)));
        let target = first.after(days);
        let told = dice.below(7) as usize;
        let (month, day) = (MONTHS[target.month - 1], target.day);
        let leap = if is_leap(self.in_year()) { "a leap year" } else { "a year that is no leap year" };
        Problem {
            question: format!(
                "In {leap}, the first of January is a {}. Which weekday is {month} {day} of that year? Answer with the weekday's \
                 full name.",
                WEEKDAYS[told]
            ),
            compact: format!("wf:{},{}=", WEEKDAYS[told].to_lowercase(), target.short()),
            answer: WEEKDAYS[(told + days as usize) % 7].to_owned(),
            data: json!({
                "task": CalendarTask::WeekdayOfDateFromFirstDate,
                "year": self.year,
                "first_day": WEEKDAYS[told],
                "target_date": target.iso(),
                "delta_days": days,
            }),
        }
    }

    fn recurring_event(&self, dice: &mut Dice) -> Problem {
        let month = dice.size(1, 12);
        let (ordinal, weeks) = dice.one([
            ("first", Some(0)),
            ("second", Some(1)),
            ("third", Some(2)),
            ("fourth", Some(3)),
            ("last", None),
        ]);
        let weekday = dice.below(7) as usize;
        // The first such weekday is within the first week, so each of the first four exists.
        let start = Date::new(self.in_year(), month, 1).weekday();
        let first = 1 + (weekday + 7 - start) as i64 % 7;
        let most = days_of_month(self.in_year(), month);
        let day = first + 7 * weeks.unwrap_or((most - first) / 7);
        let (weekday, month_name, year) = (WEEKDAYS[weekday], MONTHS[month - 1], self.year);
        Problem {
            question: format!(
                "On which day of the month is the {ordinal} {weekday} of {month_name} {year}? Answer with a number, or with -1 if \
                 there is none."
            ),
            compact: format!("we:{ordinal},{},{year}-{month}=", weekday.to_lowercase()),
            answer: day.to_string(),
            data: json!({
                "task": CalendarTask::RecurringEventDay,
                "year": year,
                "month": month,
                "ordinal": ordinal,
                "weekday": weekday,
            }),
        }
    }

    fn count_days(&self, dice: &mut Dice) -> Problem {
        let (start, end) = self.two_dates(dice, true);
        let weekday = dice.below(7) as usize;
        let count =
            (start.number()..=end.number()).filter(|n| (n - 1).rem_euclid(7) as usize == weekday).count();
        Problem {
            question: format!(
                "How many {}s are there from {}, {}, to {}, {}, both included? Answer with a number.",
                WEEKDAYS[weekday],
                start.weekday_name(),
                start.written(),
                end.weekday_name(),
                end.written()
            ),
            compact: format!("wc:{},{},{}=", WEEKDAYS[weekday].to_lowercase(), start.short(), end.short()),
            answer: count.to_string(),
            data: json!({
                "task": CalendarTask::CountDays,
                "year": self.year,
                "start_date": start.iso(),
                "end_date": end.iso(),
            }),
        }
    }

    fn count_business_days(&self, dice: &mut Dice) -> Problem {
        let (start, end) = self.two_dates(dice, false);
        let count = (start.number()..=end.number()).filter(|n| (n - 1).rem_euclid(7) < 5).count();
        Problem {
            question: format!(
                "How many days from Monday to Friday are there from {}, {}, to {}, {}, both included? Answer with a number.",
                start.weekday_name(),
                start.written(),
                end.weekday_name(),
                end.written()
            ),
            compact: format!("wb:{},{}=", start.short(), end.short()),
            answer: count.to_string(),
            data: json!({
                "task": CalendarTask::CountBusinessDays,
                "start_date": start.iso(),
                "end_date": end.iso(),
            }),
        }
    }

    fn leap_year(&self, dice: &mut Dice) -> Problem {
        let half = i64::from(self.leap_year_range / 2);
        let year = dice.between((self.in_year() - half).max(1), self.in_year() + half);
        let leap = is_leap(year);
        Problem {
            question: format!("Is {year} a leap year? Answer with Yes or No."),
            compact: format!("ly:{year}="),
            answer: if leap { "Yes" } else { "No" }.to_owned(),
            data: json!({ "task": CalendarTask::IsLeapYear, "year": year, "is_leap": leap }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<CalendarArithmetic>(|task| format!("{}1", task.answer));
        trial::refuses::<CalendarArithmetic>(&[
            r#"{"year":0}"#,
            r#"{"tasks":[]}"#,
            r#"{"tasks":["easter"]}"#,
        ]);
    }

    #[test]
    fn weekdays_are_worth_something_even_when_wrong() {
        for task in ["weekday_offset", "weekday_of_date", "weekday_of_date_from_first_date"] {
            trial::scores::<CalendarArithmetic>(
                "Tuesday",
                json!({ "task": task }),
                &[
                    ("Tuesday", 1.0),
                    (" Tuesday\n", 1.0),
                    ("Monday", 0.1),
                    ("tuesday", 0.05),
                    ("FRIDAY", 0.05),
                    ("Tuesday.", 0.0),
                    ("tues", 0.0),
                    ("", 0.0),
                ],
            );
        }
    }

    #[test]
    fn counts_are_worth_less_the_further_they_are_off() {
        for task in ["count_days", "count_business_days", "recurring_event_day"] {
            trial::scores::<CalendarArithmetic>(
                "10",
                json!({ "task": task }),
                &[
                    ("10", 1.0),
                    (" +1_0 ", 1.0),
                    ("12", (-1.0f64).exp()),
                    ("8", (-1.0f64).exp()),
                    ("-10", (-10.0f64).exp()),
                    ("ten", 0.0),
                    ("10.0", 0.0),
                    (&"9".repeat(4_000), 0.0),
                ],
            );
        }
        trial::scores::<CalendarArithmetic>("0", json!({ "task": "count_days" }), &[("0", 1.0), ("1", 0.0)]);
        trial::scores::<CalendarArithmetic>(
            "-1",
            json!({ "task": "count_days" }),
            &[("-1", 1.0), ("5", 0.0)],
        );
    }

    #[test]
    fn a_year_is_a_leap_year_or_not() {
        let cases = [("Yes", 1.0), (" yes ", 1.0), ("No", 0.0), ("y", 0.0)];
        trial::scores::<CalendarArithmetic>("Yes", json!({ "task": "is_leap_year" }), &cases);
        trial::scores::<CalendarArithmetic>("Yes", json!({}), &[("Yes", 0.0)]);
    }
}
