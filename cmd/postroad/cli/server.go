package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postroad/internal/edge/api"
)

// errUnreachable says that there was no answer.
var errUnreachable = errors.New("cannot be reached")

// dialTimeout is how long a server may take to answer a connection.
const dialTimeout = 10 * time.Second

// server is a server whose API is called.
type server struct {
	http  *http.Client
	base  string
	where string // for people
	token string
	hint  string // what to look at when it is not there
}

// atSocket is the server with that socket.
func atSocket(path, token string) *server {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialSocket(ctx, path)
	}
	return &server{
		http: &http.Client{Transport: &http.Transport{DialContext: dial}}, base: "http://postroad", where: path, token: token,
		hint: "is the server running? --data DIR names its data folder",
	}
}

// atURL is the server at a URL. The error begins with the URL.
func atURL(address, token string) (*server, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%q is no URL such as https://mx.example.org", address)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext}
	return &server{
		http: &http.Client{Transport: transport}, base: strings.TrimRight(address, "/"), where: address, token: token,
		hint: "is the server running there?",
	}, nil
}

// maxSocketPath is the longest path that a socket's address takes on Linux.
const maxSocketPath = 107

// dialSocket opens a socket; one in a folder with a long name is reached through the folder's descriptor.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout}
	if len(path) <= maxSocketPath {
		return d.DialContext(ctx, "unix", path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	return d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// ProblemError is a refusal by the server.
type ProblemError struct{ api.ProblemError }

func (e *ProblemError) Error() string {
	s := e.Detail
	if s == "" {
		s = http.StatusText(e.Status)
	}
	return s
}

// send makes a request, with body as JSON unless it is nil, and gives the answer of one that went well: the caller
// closes it. The path begins below the API's prefix.
func (s *server) send(ctx context.Context, method, path string, query url.Values, body any) (io.ReadCloser, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	target := s.base + api.Prefix + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return nil, s.unreachable(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, s.problem(resp)
}

// unreachable tells what to do when there is no server.
func (s *server) unreachable(err error) error {
	var op *net.OpError
	reason := err
	if errors.As(err, &op) {
		reason = op.Err
	}
	return fmt.Errorf("the server at %s %w: %w (%s)", s.where, errUnreachable, reason, s.hint)
}

// maxProblem bounds what is read of a refusal, in octets.
const maxProblem = 8 << 20

func (s *server) problem(resp *http.Response) error {
	p := &ProblemError{}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return err
	}
	if json.Unmarshal(text, &p.ProblemError) != nil || p.Status == 0 {
		return fmt.Errorf("the server answers %s and is no Postroad", resp.Status)
	}
	var more struct {
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	if json.Unmarshal(text, &more) == nil {
		for _, e := range more.Errors {
			p.Detail += fmt.Sprintf("; %s: %s", e.Location, e.Message)
		}
	}
	return p
}
