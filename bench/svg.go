package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

const (
	// chartWidth is the width of each chart in CSS pixels.
	chartWidth = 760
	// chartMargin is what stays free at its edges.
	chartMargin = 24
	// charWidth is about how wide a character of the charts' text is.
	charWidth = 6.7
	// boldWidth is that of a bold one.
	boldWidth = 7.5
)

// systemColors are the colours of the systems' marks on a light ground and on a
// dark one, so that a system has the same one in every chart. The last is for
// those that are not named here.
var systemColors = []struct{ system, light, dark string }{
	{"milepost", "#c2410c", "#fb923c"},
	{"nchan", "#1d4ed8", "#7aa2f7"},
	{"hub", "#0f766e", "#4fd1c5"},
	{"centrifuge", "#7e22ce", "#c4a1f5"},
	{bareFasthttp, "#0f766e", "#4fd1c5"},
	{nginxPushOff, "#1d4ed8", "#7aa2f7"},
	{nginxPushOn, "#6b8fd6", "#4a63a8"},
	{nginxStatic, "#0e7490", "#67c3dd"},
	{varnishName, "#7e22ce", "#c4a1f5"},
	{"postgres", "#1d4ed8", "#7aa2f7"},
	{"raw pebble", "#0f766e", "#4fd1c5"},
	{"", "#52525b", "#a1a1aa"},
}

// colorClass returns the name of the style of a system's marks.
func colorClass(system string) string {
	for i, c := range systemColors {
		if c.system == system {
			return fmt.Sprintf("s%d", i)
		}
	}
	return fmt.Sprintf("s%d", len(systemColors)-1)
}

// svg is a chart being drawn.
type svg struct {
	b      strings.Builder
	height float64
}

// newSVG begins a chart; the subtitle may have two lines. It needs nothing from elsewhere, and follows the
// reader's preference for light or dark.
func newSVG(height float64, title, subtitle string) *svg {
	s := &svg{height: height}
	fmt.Fprintf(&s.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img" aria-labelledby="t d">`+"\n",
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&s.b, "<title id=\"t\">%s</title>\n<desc id=\"d\">%s</desc>\n", html.EscapeString(title), html.EscapeString(strings.ReplaceAll(subtitle, "\n", "; ")))
	s.b.WriteString("<style>\n")
	s.b.WriteString(chartStyle)
	dark := ""
	for i, c := range systemColors {
		fmt.Fprintf(&s.b, ".s%d{fill:%s;stroke:%s}\n", i, c.light, c.light)
		dark += fmt.Sprintf(".s%d{fill:%s;stroke:%s}\n", i, c.dark, c.dark)
	}
	fmt.Fprintf(&s.b, "@media (prefers-color-scheme:dark){\n%s%s}\n</style>\n", chartDarkStyle, dark)
	fmt.Fprintf(&s.b, `<rect class="ground" width="%d" height="%.0f" rx="8"/>`+"\n", chartWidth, height)
	s.text(chartMargin, 34, "title", "start", title)
	for i, line := range strings.Split(subtitle, "\n") {
		s.text(chartMargin, 54+17*float64(i), "quiet", "start", line)
	}
	return s
}

const chartStyle = `text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#27272a}
.title{font-size:17px;font-weight:600;fill:#18181b}
.quiet{fill:#5b5b66}
.strong{font-weight:600}
.ground{fill:#ffffff}
.grid{stroke:#e4e4e7;stroke-width:1}
.axis{stroke:#a1a1aa;stroke-width:1}
.line{fill:none!important;stroke-width:2.2}
.whisker{stroke-width:1.4;fill:none!important;opacity:.75}
.bar{stroke:none!important}
.halo{paint-order:stroke;stroke:#ffffff;stroke-width:5px;stroke-linejoin:round}
.spread{stroke:#3f3f46;stroke-width:1.2;fill:none}
`

const chartDarkStyle = `text{fill:#e4e4e7}
.title{fill:#fafafa}
.quiet{fill:#a8a8b3}
.ground{fill:#17171b}
.grid{stroke:#303036}
.axis{stroke:#71717a}
.spread{stroke:#d4d4d8}
.halo{stroke:#17171b}
`

// text writes a text whose anchor is start, middle or end.
func (s *svg) text(x, y float64, class, anchor, text string) {
	fmt.Fprintf(&s.b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, html.EscapeString(text))
}

// line draws a straight line.
func (s *svg) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&s.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

// end returns the whole chart.
func (s *svg) end() []byte {
	s.b.WriteString("</svg>\n")
	return []byte(s.b.String())
}

// scale places values on an axis.
type scale struct {
	from, to   float64 // pixels
	low, high  float64 // values
	log        bool
	ticks      []float64
	tickFormat func(float64) string
}

// at returns where v stands.
func (c scale) at(v float64) float64 {
	part := (v - c.low) / (c.high - c.low)
	if c.log {
		part = (math.Log(v) - math.Log(c.low)) / (math.Log(c.high) - math.Log(c.low))
	}
	return c.from + part*(c.to-c.from)
}

// linearScale reaches from 0 to a round number from most on.
func linearScale(from, to, most float64, format func(float64) string) scale {
	if most <= 0 {
		most = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, part := range []float64{0.2, 0.25, 0.5, 1, 2} {
		if most/(step*part) <= 6 {
			step *= part
			break
		}
	}
	c := scale{from: from, to: to, high: math.Ceil(most/step-1e-9) * step, tickFormat: format}
	for v := 0.0; v <= c.high*1.0001; v += step {
		c.ticks = append(c.ticks, v)
	}
	return c
}

// logScale has its ticks at the given values.
func logScale(from, to float64, ticks []float64, format func(float64) string) scale {
	low, high := slices.Min(ticks), slices.Max(ticks)
	if low == high {
		low, high = low/2, high*2
	}
	return scale{from: from, to: to, low: low, high: high, log: true, ticks: ticks, tickFormat: format}
}

// short writes a number with a letter for its thousands.
func short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.size {
			return digits(v/unit.size) + unit.name
		}
	}
	return digits(v)
}

// digits writes a number with three of them at most.
func digits(v float64) string {
	format := "%.0f"
	switch a := math.Abs(v); {
	case a == 0 || a >= 100:
	case a >= 10:
		format = "%.1f"
	default:
		format = "%.2f"
	}
	text := fmt.Sprintf(format, v)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
