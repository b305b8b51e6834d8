package admin

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"github.com/valyala/fasthttp"
)

//go:embed page/style.css
var style string

//go:embed page/index.html
var indexSource string

//go:embed page/stats.html
var statsSource string

// activeReload is how often the active-html statistics load themselves again, in seconds: the interval of histograms.
const activeReload = 5

// pages are the HTML documents. They load nothing, run no script, and cannot be framed.
type pages struct {
	index, stats *template.Template
	policy       string // content-security-policy
}

func newPages() (*pages, error) {
	index, err := template.New("index").Parse(indexSource)
	if err != nil {
		return nil, fmt.Errorf("index page: %w", err)
	}
	stats, err := template.New("stats").Parse(statsSource)
	if err != nil {
		return nil, fmt.Errorf("stats page: %w", err)
	}
	hash := sha256.Sum256([]byte(style))
	return &pages{index: index, stats: stats, policy: "default-src 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(hash[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}, nil
}

// write answers 200 with a page.
func (p *pages) write(r *request, t *template.Template, data any) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		r.failed(err)
		return
	}
	setHeader(r.ctx, fasthttp.StatusOK, htmlText)
	r.ctx.Response.Header.Set(fasthttp.HeaderContentSecurityPolicy, p.policy)
	r.ctx.Response.SetBody(b.Bytes())
}

// indexData is what the index page shows.
type indexData struct {
	Style         template.CSS
	Version       string
	State, Reason string
	Live          bool
	Uptime        string
	Node, Cluster string
	Views         []commandData
	Controls      []commandData
}

// commandData is a command on the index page.
type commandData struct {
	Path, Help string
	Params     []paramData
}

type paramData struct {
	ID, Help     string
	Flag, Choice bool
	Choices      []string
}

// index is /.
func (a *surface) index(r *request) {
	state, reason := a.State()
	data := indexData{
		Style:   template.CSS(style),
		Version: a.Info.Version,
		State:   state.String(),
		Reason:  reason,
		Live:    state == adminv3.ServerInfo_LIVE,
		Uptime:  showUptime(a.uptime()),
		Node:    a.Info.Node.GetId(),
		Cluster: a.Info.Node.GetCluster(),
	}
	for _, c := range a.commands {
		shown := commandData{Path: c.path, Help: c.help}
		for _, p := range c.params {
			shown.Params = append(shown.Params, paramData{p.id, p.help, p.kind == flagParam, p.kind == choiceParam, p.choices})
		}
		switch {
		case c.mutates:
			data.Controls = append(data.Controls, shown)
		case c.path != "/":
			data.Views = append(data.Views, shown)
		}
	}
	a.pages.write(r, a.pages.index, data)
}

// statsData is what the page of statistics shows.
type statsData struct {
	Style         template.CSS
	Text          string
	Count         int
	Filter        string
	UsedOnly      bool
	Format        string
	ReloadSeconds int // 0 for never
}

// statsPage answers with the statistics in text as a page.
func (a *surface) statsPage(r *request, q *statsQuery, text string) {
	data := statsData{
		Style: template.CSS(style), Text: text, Count: strings.Count(text, "\n"),
		Filter: q.filter, UsedOnly: q.UsedOnly, Format: "html",
	}
	if q.format == statsActiveHTML {
		data.Format, data.ReloadSeconds = "active-html", activeReload
	}
	a.pages.write(r, a.pages.stats, data)
}

// showUptime returns d in its two largest units.
func showUptime(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}
