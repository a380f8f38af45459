package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// MediaLines is a stream of JSON values, one a line. The file's schema is that
// of a line: OpenAPI 3.1 has no words for a stream.
const MediaLines = "application/x-ndjson"

// Watch passes everything on to next, unchanged and as it comes, and tells
// broken when an exchange is not what the file says. A stream is judged when it
// has ended.
func (c *Contract) Watch(next http.Handler, broken func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := &heard{ReadCloser: r.Body}
		body := r.Body
		r.Body = sent
		call := r.Clone(r.Context())
		answer := &said{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		r.Body = body
		if err := c.judge(call, sent.text.Bytes(), answer); err != nil {
			broken(fmt.Errorf("%s %s: %w", call.Method, call.URL.Path, err))
		}
	})
}

// heard keeps what the server read of a request's body.
type heard struct {
	io.ReadCloser
	text bytes.Buffer
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.ReadCloser.Read(b)
	h.text.Write(b[:n])
	return n, err
}

// said keeps what the server answered.
type said struct {
	http.ResponseWriter
	status int
	text   bytes.Buffer
}

func (s *said) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *said) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	s.text.Write(b)
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *said) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (c *Contract) judge(call *http.Request, body []byte, answer *said) error {
	route, params, err := c.router.FindRoute(call)
	if err != nil {
		return c.stranger(answer)
	}
	in := &openapi3filter.RequestValidationInput{
		Request: call, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}
	if answer.status < 400 {
		call.Body = io.NopCloser(bytes.NewReader(body))
		call.ContentLength = int64(len(body))
		if err := openapi3filter.ValidateRequest(call.Context(), in); err != nil {
			return fmt.Errorf("accepted what the file does not allow: %w", err)
		}
		if err := onlyNamed(route, call); err != nil {
			return fmt.Errorf("accepted what the file does not allow: %w", err)
		}
	}
	if err := c.judgeAnswer(in, answer); err != nil {
		return fmt.Errorf("answered %d: %w", answer.status, err)
	}
	c.saw(route, answer.status)
	return nil
}

// stranger judges the answer to a call that is not in the file: only a refusal,
// in the shape of all refusals.
func (c *Contract) stranger(answer *said) error {
	if answer.status < 400 {
		return fmt.Errorf("answered %d, and is not in the file", answer.status)
	}
	return visit(c.doc.Components.Schemas["Error"], answer.text.Bytes())
}

// onlyNamed refuses a parameter of the query that the file does not name.
func onlyNamed(route *routers.Route, call *http.Request) error {
	for name := range call.URL.Query() {
		if route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			return fmt.Errorf("the query's parameter %q is not in the file", name)
		}
	}
	return nil
}

func (c *Contract) judgeAnswer(in *openapi3filter.RequestValidationInput, answer *said) error {
	header := answer.Header()
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: answer.status, Header: header, Options: in.Options,
		Body: io.NopCloser(bytes.NewReader(answer.text.Bytes())),
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("content type: %w", err)
	}
	response := in.Route.Operation.Responses.Status(answer.status)
	if response == nil {
		return fmt.Errorf("the file has no such status: %.300s", answer.text.Bytes())
	}
	content := response.Value.Content.Get(media)
	switch {
	case content == nil:
		return fmt.Errorf("the file has no content %s", media)
	case media == MediaLines:
		for line := range bytes.Lines(answer.text.Bytes()) {
			if err := visit(content.Schema, line); err != nil {
				return err
			}
		}
		return nil
	case media != "application/json" && media != "application/yaml":
		return nil // its type is all that can be said of it
	}
	return openapi3filter.ValidateResponse(in.Request.Context(), out)
}

func visit(schema *openapi3.SchemaRef, text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("%.100q: %w", text, err)
	}
	return schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020())
}
