package main

import "fmt"

// bar is one value of a bar chart with the spread of its runs.
type bar struct {
	system string
	// label stands before the bar, the system if it is empty.
	label  string
	spread spread
}

// barGroup is bars under one heading.
type barGroup struct {
	name string
	bars []bar
}

// barChart compares systems in groups; its bars lie, so that names can be read.
type barChart struct {
	title, subtitle, axis string
	groups                []barGroup
	format                func(float64) string
}

// draw returns the chart as SVG.
func (c barChart) draw() []byte {
	const (
		top, barHeight, barGap, groupGap, heading = 100.0, 17.0, 5.0, 16.0, 20.0
		valueRoom                                 = 84.0
	)
	height, most, widest := top, 0.0, 0.0
	for _, g := range c.groups {
		height += heading + float64(len(g.bars))*(barHeight+barGap) + groupGap
		for _, b := range g.bars {
			most = max(most, b.spread.High)
			widest = max(widest, float64(len([]rune(b.text())))*boldWidth)
		}
	}
	left := chartMargin + widest + 10
	x := linearScale(left, chartWidth-chartMargin-valueRoom, most, c.format)
	bottom := height
	s := newSVG(height+52, c.title, c.subtitle)
	for _, v := range x.ticks {
		s.line(x.at(v), top-6, x.at(v), bottom-groupGap+6, "grid")
		s.text(x.at(v), bottom+6, "quiet", "middle", x.tickFormat(v))
	}
	s.text(left, bottom+30, "quiet", "start", c.axis)
	s.line(left, top-6, left, bottom-groupGap+6, "axis")
	y := top
	for _, g := range c.groups {
		s.text(chartMargin, y+12, "strong halo", "start", g.name)
		y += heading
		for _, b := range g.bars {
			end := x.at(b.spread.Median)
			fmt.Fprintf(&s.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="bar %s"><title>%s: %s (%s to %s)</title></rect>`+"\n",
				left, y, max(end-left, 1), barHeight, colorClass(b.system), b.text(), c.format(b.spread.Median), c.format(b.spread.Low), c.format(b.spread.High))
			class := "quiet"
			if b.system == "milepost" {
				class = "strong"
			}
			s.text(left-8, y+barHeight-4, class, "end", b.text())
			class += " halo"
			label := end
			if b.spread.Runs > 1 {
				low, high, middle := x.at(b.spread.Low), x.at(b.spread.High), y+barHeight/2
				s.line(low, middle, high, middle, "spread")
				s.line(low, middle-4, low, middle+4, "spread")
				s.line(high, middle-4, high, middle+4, "spread")
				label = high
			}
			s.text(label+7, y+barHeight-4, class, "start", c.format(b.spread.Median))
			y += barHeight + barGap
		}
		y += groupGap
	}
	return s.end()
}

// text is what stands before the bar.
func (b bar) text() string {
	if b.label != "" {
		return b.label
	}
	return b.system
}
