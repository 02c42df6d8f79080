package main

import (
	"fmt"
	"slices"
	"strings"
)

// linePoint is one value of a curve with the spread of its runs.
type linePoint struct {
	x      float64
	spread spread
}

// curve is the points of one system in the order of x.
type curve struct {
	system string
	// label names the curve, the system if it is empty.
	label  string
	points []linePoint
}

// lineChart shows how something changes with x.
type lineChart struct {
	title, subtitle, xAxis, yAxis string
	curves                        []curve
	// logX puts x on a logarithmic scale whose ticks are the points' own.
	logX bool
	// bare draws no marks, for curves of many points.
	bare             bool
	xFormat, yFormat func(float64) string
}

// draw returns the chart as SVG.
func (c lineChart) draw() []byte {
	const top, plot, legendRow = 122.0, 260.0, 20.0
	left, right := 76.0, float64(chartWidth-chartMargin-12)
	var xs []float64
	most := 0.0
	for _, k := range c.curves {
		for _, p := range k.points {
			xs = append(xs, p.x)
			most = max(most, p.spread.High)
		}
	}
	slices.Sort(xs)
	xs = slices.Compact(xs)
	bottom := top + plot
	rows := c.legendRows(right - left)
	s := newSVG(bottom+60+float64(len(rows))*legendRow, c.title, c.subtitle)
	y := linearScale(bottom, top, most, c.yFormat)
	var x scale
	switch {
	case len(xs) == 0:
		return s.end()
	case c.logX:
		x = logScale(left+16, right-16, xs, c.xFormat)
	default:
		x = linearScale(left, right, xs[len(xs)-1], c.xFormat)
	}
	s.text(chartMargin, top-20, "quiet", "start", c.yAxis)
	for _, v := range y.ticks {
		s.line(left, y.at(v), right, y.at(v), "grid")
		s.text(left-8, y.at(v)+4, "quiet", "end", y.tickFormat(v))
	}
	for _, v := range x.ticks {
		s.line(x.at(v), bottom, x.at(v), bottom+5, "axis")
		s.text(x.at(v), bottom+20, "quiet", "middle", x.tickFormat(v))
	}
	s.line(left, bottom, right, bottom, "axis")
	s.text((left+right)/2, bottom+40, "quiet", "middle", c.xAxis)
	// What was drawn last lies on top: the first system is the one that matters.
	for i, k := range slices.Backward(c.curves) {
		c.drawCurve(s, x, y, i, k)
	}
	at := bottom + 62
	for _, row := range rows {
		along := left
		for _, i := range row {
			k := c.curves[i]
			fmt.Fprintf(&s.b, `<path d="M%.1f %.1fh22" class="line %s"%s/>`+"\n", along, at-4, colorClass(k.system), dash(i))
			if !c.bare {
				mark(s, along+11, at-4, i, colorClass(k.system))
			}
			s.text(along+28, at, "quiet", "start", k.text())
			along += legendWidth(k)
		}
		at += legendRow
	}
	return s.end()
}

// drawCurve draws one curve.
func (c lineChart) drawCurve(s *svg, x, y scale, i int, k curve) {
	var path strings.Builder
	for n, p := range k.points {
		command := "L"
		if n == 0 {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, x.at(p.x), y.at(p.spread.Median))
	}
	class := colorClass(k.system)
	fmt.Fprintf(&s.b, `<path d="%s" class="line %s"%s/>`+"\n", path.String(), class, dash(i))
	if c.bare {
		return
	}
	for _, p := range k.points {
		px := x.at(p.x)
		if p.spread.Runs > 1 {
			fmt.Fprintf(&s.b, `<path d="M%.1f %.1fV%.1fM%.1f %.1fh8M%.1f %.1fh8" class="whisker %s"/>`+"\n", px, y.at(p.spread.Low), y.at(p.spread.High),
				px-4, y.at(p.spread.Low), px-4, y.at(p.spread.High), class)
		}
		fmt.Fprintf(&s.b, "<g><title>%s, %s: %s (%s to %s)</title>", k.text(), c.xFormat(p.x), c.yFormat(p.spread.Median), c.yFormat(p.spread.Low), c.yFormat(p.spread.High))
		mark(s, px, y.at(p.spread.Median), i, class)
		s.b.WriteString("</g>\n")
	}
}

// legendRows spreads the curves' names over rows of that width.
func (c lineChart) legendRows(width float64) (rows [][]int) {
	along := width
	for i, k := range c.curves {
		if w := legendWidth(k); along+w > width {
			rows, along = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], i)
		along += legendWidth(k)
	}
	return rows
}

// legendWidth is how wide a curve's name is with its mark.
func legendWidth(k curve) float64 { return float64(len([]rune(k.text())))*charWidth + 50 }

// text names the curve.
func (k curve) text() string {
	if k.label != "" {
		return k.label
	}
	return k.system
}

// dash tells curves apart beside their colours.
func dash(i int) string {
	return [...]string{"", ` stroke-dasharray="7 4"`, ` stroke-dasharray="2 4"`, ` stroke-dasharray="9 3 2 3"`}[i%4]
}

// mark draws the mark of the ith curve.
func mark(s *svg, x, y float64, i int, class string) {
	switch i % 4 {
	case 0:
		fmt.Fprintf(&s.b, `<circle cx="%.1f" cy="%.1f" r="4.5" class="%s"/>`, x, y, class)
	case 1:
		fmt.Fprintf(&s.b, `<rect x="%.1f" y="%.1f" width="8" height="8" class="%s"/>`, x-4, y-4, class)
	case 2:
		fmt.Fprintf(&s.b, `<path d="M%.1f %.1fl5 9h-10z" class="%s"/>`, x, y-5, class)
	default:
		fmt.Fprintf(&s.b, `<path d="M%.1f %.1fl5 5l-5 5l-5-5z" class="%s"/>`, x, y-5, class)
	}
	s.b.WriteString("\n")
}
