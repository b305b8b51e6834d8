package layeredruntime

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// show writes what a value means.
func show(v config.RuntimeValue) string {
	var parts []string
	if v.Number != nil {
		parts = append(parts, fmt.Sprintf("number %v", *v.Number))
	}
	if v.Whole != nil {
		parts = append(parts, fmt.Sprintf("whole %d", *v.Whole))
	}
	if v.Bool != nil {
		parts = append(parts, fmt.Sprintf("bool %t", *v.Bool))
	}
	if v.Fraction != nil {
		parts = append(parts, fmt.Sprintf("fraction %d", *v.Fraction))
	}
	return strings.Join(parts, ", ")
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"true":                 "bool true",
		" False\n":             "bool false",
		"0":                    "number 0, whole 0, bool false",
		"7":                    "number 7, whole 7, bool true",
		" 7 ":                  "number 7, whole 7, bool true",
		"2.5":                  "number 2.5, whole 2",
		"-1":                   "number -1",
		"1e30":                 "number 1e+30",
		"NaN":                  "number NaN",
		"18446744073709551615": "number 1.8446744073709552e+19, whole 18446744073709551615, bool true",
		"seven":                "",
		"{}":                   "fraction 0",
		"numerator: 5":         "fraction 50000",
		"numerator: 5\ndenominator: TEN_THOUSAND":   "fraction 500",
		`{"numerator":25,"denominator":"MILLION"}`:  "fraction 25",
		`{"numerator":25,"denominator":2}`:          "fraction 25",
		`{"denominator":"HUNDRED"}`:                 "fraction 0",
		`{"numerator":101,"denominator":"HUNDRED"}`: "fraction 1000000",
		`{"numerator":25,"denominator":"THOUSAND"}`: "",
		`{"numerator":-1}`:                          "",
		`{"numerator":1,"more":1}`:                  "",
		"numerator: 1 #" + strings.Repeat("x", 300): "",
	} {
		v := Parse(text)
		if got := show(v); got != want || v.Text != text {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"1", "true", `{"numerator":25,"denominator":"MILLION"}`, "numerator: *a", "1e400"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v := Parse(text)
		if v.Fraction != nil && *v.Fraction > config.FractionAll {
			t.Errorf("fraction %d", *v.Fraction)
		}
		if v.Whole != nil && v.Number == nil {
			t.Error("a whole number is a number")
		}
	})
}
