package containerd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// maxAnswer is how much of a registry's refusal is read, in bytes.
const maxAnswer = 4 << 10

// puller speaks to one registry for one pull.
type puller struct {
	access    runtime.RegistryAccess
	transport *http.Transport
	client    *http.Client

	mu      sync.Mutex
	refused *http.Request
}

func newPuller(access runtime.RegistryAccess) (*puller, error) {
	r := &puller{access: access, transport: http.DefaultTransport.(*http.Transport).Clone()}
	if len(access.CACertificate) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(access.CACertificate) {
			return nil, errors.New("the registry's CA certificate is not PEM")
		}
		r.transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	r.client = &http.Client{Transport: r}
	return r, nil
}

// hosts says how to reach the registry of that name.
func (r *puller) hosts(name string) ([]docker.RegistryHost, error) {
	return docker.ConfigureDefaultRegistries(
		docker.WithClient(r.client),
		docker.WithPlainHTTP(r.plainHTTP),
		docker.WithAuthorizer(docker.NewDockerAuthorizer(
			docker.WithAuthClient(r.client),
			docker.WithAuthCreds(r.credentials),
		)),
	)(name)
}

// plainHTTP is only for loopback, where nobody listens, and where it was asked
// for. A registry with a CA of its own speaks TLS wherever it is.
func (r *puller) plainHTTP(host string) (bool, error) {
	if r.access.PlainHTTP || len(r.access.CACertificate) > 0 {
		return r.access.PlainHTTP, nil
	}
	return docker.MatchLocalhost(host)
}

func (r *puller) credentials(string) (string, string, error) {
	if r.access.Username == "" || r.access.Password == nil {
		return "", "", nil
	}
	password, err := r.access.Password()
	return r.access.Username, password, err
}

// RoundTrip remembers the last request that was refused.
func (r *puller) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.transport.RoundTrip(request)
	if err == nil && response.StatusCode >= 400 {
		r.mu.Lock()
		r.refused = request.Clone(context.WithoutCancel(request.Context()))
		r.mu.Unlock()
	}
	return response, err
}

// answer is what the registry says about the last request it refused; the
// refusal itself had no words when it was to a HEAD.
func (r *puller) answer(ctx context.Context) string {
	r.mu.Lock()
	refused := r.refused
	r.mu.Unlock()
	if refused == nil || (refused.Method != http.MethodHead && refused.Method != http.MethodGet) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	again := refused.Clone(ctx)
	again.Method = http.MethodGet
	response, err := r.transport.RoundTrip(again)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil || response.StatusCode < 400 {
		return ""
	}
	return response.Status + ": " + explain(body)
}

// explain reads the errors of the distribution protocol, or takes the text.
func explain(body []byte) string {
	var answer struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Errors) == 0 {
		text, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return text
	}
	var words []string
	for _, e := range answer.Errors {
		words = append(words, strings.TrimSpace(e.Code+" "+e.Message))
	}
	return strings.Join(words, "; ")
}

func (r *puller) close() { r.transport.CloseIdleConnections() }
