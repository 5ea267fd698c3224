// Package house holds Warren's house rules as tests: who may import whom, that
// every package says what it is for, and that the state machine knows neither
// clock nor chance. It has no code of its own; a rule that no test enforces is
// a wish.
package house
