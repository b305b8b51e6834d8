package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// wellFormed fails unless text is XML, and returns the texts in it.
func wellFormed(t *testing.T, text string) []string {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	var texts []string
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if data, ok := token.(xml.CharData); ok {
			texts = append(texts, string(data))
		}
	}
}

const hostile = `</svg><script>alert("1")</script>&'`

func TestBars(t *testing.T) {
	got := Bars("what", "µs", []string{"user", "system"}, []Bar{
		{Label: "a", Series: 0, Parts: []float64{1, 3}, Value: "4 µs"},
		{Label: "b", Series: 1, Parts: []float64{2, 0}, Value: "2 µs"},
	})
	wellFormed(t, got)
	// 394 pixels are 4 µs.
	for _, want := range []string{
		`<rect x="96" y="6" width="98.5" height="20" rx="2" class="s0 p0"><title>a: user 1 µs</title></rect>`,
		`<rect x="194.5" y="6" width="295.5" height="20" rx="2" class="s0 p1"><title>a: system 3 µs</title></rect>`,
		`<rect x="96" y="36" width="197" height="20" rx="2" class="s1 p0"><title>b: user 2 µs</title></rect>`,
		`>4 µs<`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if n := strings.Count(got, "<rect"); n != 3 {
		t.Errorf("%d rectangles, want 3: a part of nothing has none", n)
	}
}

func TestLines(t *testing.T) {
	got := Lines("what", "µs", []string{"p50", "p99", "max"}, []Line{
		{Name: "a", Values: []float64{100, 1000, 10000}}, {Name: "b", Series: 1, Values: []float64{100, 0, 10000, 7}}, {Name: "c", Series: 2},
	})
	texts := strings.Join(wellFormed(t, got), "|")
	for _, want := range []string{"|100|", "|1k|", "|10k", "p50", "p99", "max"} {
		if !strings.Contains(texts, want) {
			t.Errorf("no %q in %q", want, texts)
		}
	}
	if n := strings.Count(got, "<circle"); n != 5 {
		t.Errorf("%d dots, want 5", n)
	}
	if strings.Contains(texts, "|c") {
		t.Errorf("a line without values has a name: %q", texts)
	}
}

// TestNothingToDraw has values that have no place.
func TestNothingToDraw(t *testing.T) {
	odd := []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1)}
	if got := Lines("", "", []string{"a", "b", "c", "d", "e"}, []Line{{Values: odd}}); got != "" {
		t.Errorf("got %s", got)
	}
	if got := Lines("", "", nil, []Line{{Values: []float64{1}}}); got != "" {
		t.Errorf("got %s", got)
	}
	for _, text := range []string{Bars("", "", nil, []Bar{{Parts: odd}}), Bars("", "", nil, nil), Bars("", "", nil, []Bar{{Parts: []float64{0}}})} {
		wellFormed(t, text)
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("got %s", text)
		}
	}
}

func TestEscaped(t *testing.T) {
	for _, text := range []string{
		Bars(hostile, hostile, []string{hostile}, []Bar{{Label: hostile, Parts: []float64{1}, Value: hostile}}),
		Lines(hostile, hostile, []string{hostile}, []Line{{Name: hostile, Values: []float64{1}}}),
	} {
		wellFormed(t, text)
		if strings.Contains(text, "<script") || strings.Count(text, "</svg>") != 1 {
			t.Errorf("got %s", text)
		}
	}
}

func TestGrid(t *testing.T) {
	for _, ends := range [][2]float64{{1, 1}, {1, 2}, {5, 7}, {1, 100}, {3, 4e5}, {1e-9, 1e12}, {1e-300, 1e300}} {
		scale, ok := scaleOf([]Line{{Values: ends[:]}})
		if !ok {
			t.Fatalf("%v: no scale", ends)
		}
		grid := scale.grid()
		if len(grid) == 0 || len(grid) > maxGrid+1 {
			t.Errorf("%v: %d lines", ends, len(grid))
		}
		for _, value := range grid {
			if y := scale.y(value); y < linesTop || y > linesHeight-linesBottom {
				t.Errorf("%v: %v is at %v", ends, value, y)
			}
		}
	}
}

// TestNamesApart has lines that end at one place: their names do not, and none leaves the chart.
func TestNamesApart(t *testing.T) {
	names := spread([]name{{y: 220}, {y: 220}, {y: 219}, {y: 20}, {y: 21}})
	for i, n := range names {
		if n.y > linesHeight-linesBottom || n.y < linesTop || i > 0 && n.y < names[i-1].y+namePitch {
			t.Errorf("%+v", names)
		}
	}
}

func TestShort(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.1234: "0.123", 9.996: "10", 999: "999", 999.9: "1k", 1234: "1.23k", 2e6: "2M", 3e9: "3G", 5e15: "5e+03T"} {
		if got := Short(x); got != want {
			t.Errorf("%v: %q, want %q", x, got, want)
		}
	}
}
