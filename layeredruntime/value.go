package layeredruntime

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v2"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxFractionText bounds the texts that are looked at as a fraction: one is "numerator: 1000000\ndenominator: MILLION", as YAML or
// as JSON, and a YAML parser is not for everything that a file may hold.
const maxFractionText = 256

// Parse returns what the text of a value means. A whole number is a truth value too: all but 0 are true.
func Parse(text string) config.RuntimeValue {
	v := config.RuntimeValue{Text: text}
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.EqualFold(trimmed, "true"):
		v.Bool = new(true)
		return v
	case strings.EqualFold(trimmed, "false"):
		v.Bool = new(false)
		return v
	}
	number, err := strconv.ParseFloat(trimmed, 64)
	if err != nil {
		v.Fraction = parseFraction(trimmed)
		return v
	}
	v.Number = &number
	if number >= 0 && number < math.MaxUint64 { // NaN is not
		v.Whole = new(uint64(number))
	}
	if whole, err := strconv.ParseUint(trimmed, 10, 64); err == nil {
		v.Whole, v.Bool = &whole, new(whole != 0)
	}
	return v
}

// denominators are the names and numbers of FractionalPercent.DenominatorType with the parts of a million that each stands for.
var denominators = map[string]uint64{
	"": 10_000, "HUNDRED": 10_000, "0": 10_000, "TEN_THOUSAND": 100, "1": 100, "MILLION": 1, "2": 1,
}

// parseFraction returns the parts of a million of a FractionalPercent in YAML or JSON, nil when text is none.
func parseFraction(text string) *uint32 {
	if len(text) > maxFractionText || !strings.Contains(text, "numerator") && !strings.Contains(text, "denominator") && text != "{}" {
		return nil
	}
	var percent struct {
		Numerator   uint32 `yaml:"numerator"`
		Denominator string `yaml:"denominator"`
	}
	if yaml.UnmarshalStrict([]byte(text), &percent) != nil {
		return nil
	}
	parts, ok := denominators[percent.Denominator]
	if !ok {
		return nil
	}
	return new(uint32(min(uint64(percent.Numerator)*parts, config.FractionAll)))
}

// parseAll parses the values of a layer.
func parseAll(texts map[string]string) map[string]config.RuntimeValue {
	values := make(map[string]config.RuntimeValue, len(texts))
	for key, text := range texts {
		values[key] = Parse(text)
	}
	return values
}
