package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"postroad/internal/config"
)

// connect chooses the server: --server, or the socket in the data folder.
func (a *App) connect() (*server, error) {
	address, token := a.server, a.token
	if address == "" && a.Data == "" {
		address = os.Getenv("POSTROAD_SERVER")
	}
	if address == "" {
		return atSocket(filepath.Join(a.DataDir(), config.SocketName), token), nil
	}
	if token == "" {
		token = os.Getenv("POSTROAD_TOKEN")
	}
	c, err := atURL(address, token)
	if err != nil {
		return nil, Usagef("--server %v", err)
	}
	return c, nil
}

// send makes a request and gives the answer of one that went well.
func (a *App) send(ctx context.Context, method, path string, query url.Values, body any) (io.ReadCloser, error) {
	if a.proposed != nil {
		return nil, a.propose(method, path, query, body)
	}
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	answer, err := c.send(ctx, method, path, query, body)
	if errors.Is(err, errUnreachable) {
		return nil, &doneError{ExitUnreachable, err}
	}
	return answer, err
}

// Ask makes a request and reads the JSON of its answer.
func Ask[T any](ctx context.Context, a *App, method, path string, query url.Values, body any) (T, error) {
	var out T
	answer, err := a.send(ctx, method, path, query, body)
	if err != nil {
		return out, err
	}
	defer func() { _ = answer.Close() }()
	if err := json.NewDecoder(answer).Decode(&out); err != nil {
		return out, fmt.Errorf("the server's answer is cut or no JSON: %w", err)
	}
	return out, nil
}

// Get asks for one thing.
func Get[T any](ctx context.Context, a *App, path string, query url.Values) (T, error) {
	return Ask[T](ctx, a, http.MethodGet, path, query, nil)
}

// List asks for a listing; it is never nil.
func List[T any](ctx context.Context, a *App, path string, query url.Values) ([]T, error) {
	got, err := Get[struct {
		Items []T `json:"items"`
	}](ctx, a, path, query)
	if err != nil || got.Items == nil {
		return []T{}, err
	}
	return got.Items, nil
}

// Download writes exact bytes to where answers go.
func (a *App) Download(ctx context.Context, path string, query url.Values) error {
	body, err := a.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if _, err := io.Copy(a.Out, body); err != nil {
		return fmt.Errorf("the message came cut: %w", err)
	}
	return nil
}

// Segment writes a text as one step of a path.
func Segment(s string) string { return "/" + url.PathEscape(s) }
