package terminal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"milepost/internal/checkpoint"
)

// exportVersion is the version of the format of exports.
const exportVersion = 1

// exportMark is what a header line has as "milepost".
const exportMark = "export"

// exportHeader is the first line of a job's export.
type exportHeader struct {
	Milepost     string `json:"milepost"`
	Version      int    `json:"version"`
	Job          string `json:"job"`
	Organization string `json:"organization,omitempty"`
}

// Export writes a job's export (see the package comment) and returns how many
// checkpoints it has. Nothing is written if the job cannot be read.
func (c *Client) Export(ctx context.Context, job string, w io.Writer) (checkpoints int, err error) {
	line := new(bytes.Buffer)
	header := func() error {
		b, err := json.Marshal(exportHeader{exportMark, exportVersion, job, c.organization(ctx, job)})
		if err == nil {
			_, err = w.Write(append(b, '\n'))
		}
		return err
	}
	err = c.All(ctx, job, func(raw json.RawMessage) error {
		if checkpoints == 0 {
			if err := header(); err != nil {
				return err
			}
		}
		line.Reset()
		line.Write(raw)
		line.WriteByte('\n')
		checkpoints++
		_, err := w.Write(line.Bytes())
		return err
	})
	if err != nil {
		return checkpoints, fmt.Errorf("after %d checkpoints of job %s: %w", checkpoints, job, err)
	}
	return checkpoints, nil
}

// organization asks the server whose job it is. One that does not say leaves
// the header without it.
func (c *Client) organization(ctx context.Context, job string) string {
	b, err := c.whole(ctx, http.MethodGet, "/api/milepost/v1/jobs/"+job, nil, nil)
	if err != nil {
		return ""
	}
	var answer struct {
		Data struct {
			Job struct {
				OrganizationID string `json:"organizationId"`
			} `json:"job"`
		} `json:"data"`
	}
	if json.Unmarshal(b, &answer) != nil || !checkpoint.ValidID(answer.Data.Job.OrganizationID) {
		return ""
	}
	return answer.Data.Job.OrganizationID
}
