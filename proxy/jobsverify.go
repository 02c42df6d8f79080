package proxy

import (
	"sync"
	"sync/atomic"

	"milepost/proxy/upstream"
)

// maxListedAsks bounds the questions to the upstream that one list of jobs may
// cause. The jobs beyond are left out until another list has asked about them.
const maxListedAsks = 100

// readable returns those jobs of a credential that it may see now, and whether that
// is all. A verdict that has grown old says so of as many as may be asked about, and
// while the upstream is away of all.
func (a *sidecar) readable(c *caller) (jobs []string, all bool, err error) {
	of := a.credential(c)
	held, err := a.verdicts.Jobs(of)
	if err != nil {
		return nil, false, err
	}
	may := make([]atomic.Bool, len(held))
	var old []int
	for i, job := range held {
		if a.verdict(of, job) == upstream.Fresh {
			may[i].Store(true)
		} else {
			old = append(old, i)
		}
	}
	asks := min(len(old), maxListedAsks)
	slots := make(chan struct{}, maxVerifying)
	var asking sync.WaitGroup
	for n, i := range old[:asks] {
		ask := func() {
			job := held[i]
			may[i].Store(a.verify(question{
				job: job, of: of, authorization: c.authorization,
				learn: func(answer *told) error { return a.learnList(job, answer.Body) },
			}) == nil)
		}
		if n == 0 {
			ask() // the others need not wait as long if it is away
			continue
		}
		if a.client.Down() {
			asks = n
			break
		}
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			ask()
		})
	}
	asking.Wait()
	all = asks == len(old)
	if a.client.Down() {
		for _, i := range old[asks:] {
			may[i].Store(a.verdict(of, held[i]) != upstream.None)
		}
		all = true
	}
	for i, job := range held {
		if may[i].Load() {
			jobs = append(jobs, job)
		}
	}
	return jobs, all, nil
}
