package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Cron says at which minutes something is due: five fields (minute, hour, day
// of month, month, day of week) as in crontab(5), or @hourly, @daily, @weekly,
// @monthly, @yearly.
type Cron struct {
	minutes, hours, days, months, weekdays uint64 // bits
	// anyDay, anyWeekday: the field begins with a star. When neither does, a
	// day that either names will do.
	anyDay, anyWeekday bool
}

var cronWords = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
	"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

type cronField struct {
	name     string
	min, max int
	names    []string // the first is min
}

var cronFields = []cronField{
	{name: "minute", max: 59}, {name: "hour", max: 23}, {name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{name: "day of week", max: 7, names: strings.Fields("sun mon tue wed thu fri sat")},
}

// ParseCron reads such an expression.
func ParseCron(text string) (Cron, error) {
	refuse := func(format string, args ...any) (Cron, error) {
		return Cron{}, invalid(KindVolume, "", "%q is no cron expression: %s", text, fmt.Sprintf(format, args...)).
			WithHint(`write minute, hour, day of month, month and day of week: "0 2 * * *" is every day at 2 o'clock; or @daily`)
	}
	words := text
	if strings.HasPrefix(text, "@") {
		if words = cronWords[text]; words == "" {
			return refuse("%s is not known; there are @hourly, @daily, @weekly, @monthly and @yearly", text)
		}
	}
	fields := strings.Fields(words)
	if len(fields) != len(cronFields) {
		return refuse("it has %d fields instead of 5", len(fields))
	}
	var c Cron
	for i, set := range []*uint64{&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays} {
		bits, err := cronFields[i].parse(fields[i])
		if err != nil {
			return refuse("%s", err)
		}
		*set = bits
	}
	c.weekdays = c.weekdays&0x7f | c.weekdays>>7&1 // 7 is Sunday too
	c.anyDay, c.anyWeekday = strings.HasPrefix(fields[2], "*"), strings.HasPrefix(fields[4], "*")
	if c.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return refuse("that day never comes")
	}
	return c, nil
}

func (f cronField) parse(text string) (bits uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.max {
				return 0, fmt.Errorf("%q is no step of the %s", stepText, f.name)
			}
		}
		from, to := f.min, f.max
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			if from, err = f.value(first); err != nil {
				return 0, err
			}
			to = from
			if stepped {
				to = f.max
			}
			if ranged {
				if to, err = f.value(last); err != nil {
					return 0, err
				}
			}
			if to < from {
				return 0, fmt.Errorf("the %s %q goes backwards", f.name, span)
			}
		}
		for v := from; v <= to; v += step {
			bits |= 1 << v
		}
	}
	return bits, nil
}

func (f cronField) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(name, text) {
			return f.min + i, nil
		}
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < f.min || v > f.max || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("%q is no %s: it is from %d to %d", text, f.name, f.min, f.max)
	}
	return v, nil
}

// cronHorizon is how far Next looks: over a leap year that is left out.
const cronHorizon = 9

// Next returns the first time after t, in t's time zone, that is due; the zero
// time when none comes. Of a time that daylight saving skips, the moment counts
// at which it would have been; one that comes twice is due the first time only,
// unless every hour is.
func (c Cron) Next(t time.Time) time.Time {
	zone := t.Location()
	if c.hours == 1<<24-1 {
		return c.nextMoment(t)
	}
	// Clock readings are gone through as if they were UTC, which has them all.
	reading := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	reading = reading.Add(-2 * time.Hour) // one that a skip has moved may still come
	for end := reading.AddDate(cronHorizon, 0, 0); reading.Before(end); {
		if !c.matchesDay(reading) {
			reading = time.Date(reading.Year(), reading.Month(), reading.Day()+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if c.hours&(1<<reading.Hour()) == 0 {
			reading = reading.Truncate(time.Hour).Add(time.Hour)
			continue
		}
		if c.minutes&(1<<reading.Minute()) != 0 {
			if at := momentOf(reading, zone); at.After(t) {
				return at
			}
		}
		reading = reading.Add(time.Minute)
	}
	return time.Time{}
}

// nextMoment is Next when every hour is due: then moments count, not readings.
func (c Cron) nextMoment(t time.Time) time.Time {
	at := t.Truncate(time.Minute).Add(time.Minute)
	for end := at.AddDate(cronHorizon, 0, 0); at.Before(end); {
		if !c.matchesDay(at) {
			next := time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, at.Location())
			if !next.After(at) {
				next = at.Add(time.Hour)
			}
			at = next
			continue
		}
		if c.minutes&(1<<at.Minute()) != 0 {
			return at
		}
		at = at.Add(time.Minute)
	}
	return time.Time{}
}

// momentOf is when a clock in the zone first shows the reading, or would have.
func momentOf(reading time.Time, zone *time.Location) time.Time {
	// The offset that holds some hours before is that before a change.
	_, offset := reading.Add(-12 * time.Hour).In(zone).Zone()
	before := reading.Add(-time.Duration(offset) * time.Second).In(zone)
	if sameReading(before, reading) {
		return before
	}
	at := time.Date(reading.Year(), reading.Month(), reading.Day(), reading.Hour(), reading.Minute(), 0, 0, zone)
	if sameReading(at, reading) {
		return at
	}
	return before // skipped
}

func sameReading(at, reading time.Time) bool {
	return at.Day() == reading.Day() && at.Hour() == reading.Hour() && at.Minute() == reading.Minute()
}

func (c Cron) matchesDay(t time.Time) bool {
	if c.months&(1<<t.Month()) == 0 {
		return false
	}
	day, weekday := c.days&(1<<t.Day()) != 0, c.weekdays&(1<<t.Weekday()) != 0
	if c.anyDay || c.anyWeekday {
		return day && weekday
	}
	return day || weekday
}
