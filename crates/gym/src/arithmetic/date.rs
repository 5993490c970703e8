//! Days of the Gregorian calendar, carried on before it began.

/// The weekdays, as the families of dates write them.
pub(crate) const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The months.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: usize,
    /// From 1.
    pub(crate) day: i64,
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_of_month(year: i64, month: usize) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Date {
    pub(crate) fn new(year: i64, month: usize, day: i64) -> Date {
        Date { year, month, day }
    }

    /// Days since the last day before year 1.
    pub(crate) fn number(self) -> i64 {
        let before = self.year - 1;
        let years = before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
        let months: i64 = (1..self.month).map(|month| days_of_month(self.year, month)).sum();
        years + months + self.day
    }

    /// The day so many days after this one, or before.
    pub(crate) fn after(self, days: i64) -> Date {
        let number = self.number() + days;
        // At most a year too early, never too late.
        let mut year = (number - 1).div_euclid(366).max(0) + 1;
        while Date::new(year + 1, 1, 1).number() <= number {
            year += 1 + (number - Date::new(year + 1, 1, 1).number()) / 366;
        }
        let mut day = number - Date::new(year, 1, 1).number() + 1;
        let mut month = 1;
        while day > days_of_month(year, month) {
            day -= days_of_month(year, month);
            month += 1;
        }
        Date { year, month, day }
    }

    /// 0 for Monday. The first day of year 1 was one.
    pub(crate) fn weekday(self) -> usize {
        (self.number() - 1).rem_euclid(7) as usize
    }

    pub(crate) fn weekday_name(self) -> &'static str {
        WEEKDAYS[self.weekday()]
    }

    /// `March 9, 2022`
    pub(crate) fn written(self) -> String {
        format!("{} {}, {}", MONTHS[self.month - 1], self.day, self.year)
    }

    /// `2022-03-09`
    pub(crate) fn iso(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `2022-3-9`
    pub(crate) fn short(self) -> String {
        format!("{}-{}-{}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_are_those_of_known_days() {
        for (date, weekday) in [
            (Date::new(1969, 7, 20), "Sunday"),
            (Date::new(2000, 2, 29), "Tuesday"),
            (Date::new(2022, 1, 1), "Saturday"),
            (Date::new(1900, 3, 1), "Thursday"),
            (Date::new(1, 1, 1), "Monday"),
        ] {
            assert_eq!(date.weekday_name(), weekday, "{date:?}");
        }
        assert!(is_leap(2000) && is_leap(2024) && !is_leap(1900) && !is_leap(2023));
    }

    #[test]
    fn days_follow_each_other() {
        let mut date = Date::new(1, 1, 1);
        for number in 1..800_000 {
            if number % 97 == 1 {
                assert_eq!(date.number(), number);
                assert_eq!(Date::new(1, 1, 1).after(number - 1), date);
            }
            date = if date.day < days_of_month(date.year, date.month) {
                Date { day: date.day + 1, ..date }
            } else if date.month < 12 {
                Date::new(date.year, date.month + 1, 1)
            } else {
                Date::new(date.year + 1, 1, 1)
            };
        }
        assert_eq!(Date::new(2022, 3, 1).after(-1).written(), "February 28, 2022");
    }
}
