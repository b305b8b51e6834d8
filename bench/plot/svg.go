// Package plot draws small charts as SVG: bars of stacked parts, and lines over a logarithmic scale. Sizes are in CSS pixels.
//
// A drawing has no colours of its own but classes, so that the page that it stands in decides, in the light and in the dark: text
// has the class "t", with "m" what is of less weight and "e" and "c" what ends at its place or is centred on it, the grid "g"; a
// series that has the number n "s" and n, its parts "p" and their number. Text from elsewhere is escaped.
package plot

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// drawing collects the elements of an SVG.
type drawing struct{ b strings.Builder }

// begin opens a drawing, which stands in a page of HTML, that is as wide as there is room for, and says in a few words what it shows to who cannot see it.
func (d *drawing) begin(width, height float64, what string) {
	fmt.Fprintf(&d.b, `<svg viewBox="0 0 %s %s" role="img" aria-label="%s">`,
		number(width), number(height), html.EscapeString(what))
}

func (d *drawing) end() string {
	d.b.WriteString("</svg>")
	return d.b.String()
}

func (d *drawing) text(x, y float64, class, text string) {
	fmt.Fprintf(&d.b, `<text x="%s" y="%s" class="%s">%s</text>`, number(x), number(y), class, html.EscapeString(text))
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&d.b, `<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`, number(x1), number(y1), number(x2), number(y2), class)
}

// rect draws a rectangle that says what it is when it is pointed at.
func (d *drawing) rect(x, y, w, h float64, class, title string) {
	fmt.Fprintf(&d.b, `<rect x="%s" y="%s" width="%s" height="%s" rx="2" class="%s"><title>%s</title></rect>`,
		number(x), number(y), number(w), number(h), class, html.EscapeString(title))
}

func (d *drawing) dot(x, y float64, class, title string) {
	fmt.Fprintf(&d.b, `<circle cx="%s" cy="%s" r="3.5" class="%s"><title>%s</title></circle>`, number(x), number(y), class, html.EscapeString(title))
}

func (d *drawing) path(points []string, class string) {
	fmt.Fprintf(&d.b, `<polyline points="%s" class="%s"/>`, strings.Join(points, " "), class)
}

// number writes a coordinate with a tenth of a pixel.
func number(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "0"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
}

// Short writes a value with three digits, and a letter for thousands, millions and so on.
func Short(x float64) string {
	units := []string{"", "k", "M", "G", "T"}
	unit := 0
	for math.Abs(x) >= 999.5 && unit < len(units)-1 {
		x /= 1000
		unit++
	}
	return fmt.Sprintf("%.3g%s", x, units[unit])
}
