// Package openapi holds an HTTP server to the OpenAPI file it is published
// with. Tests put [Contract.Watch] in front of the real server: every answer
// must be one the file describes, to the last field, and every request that was
// accepted must be one the file allows. What was called is counted, so that a
// test can demand that the file promises nothing nobody tried.
//
// A file is loaded only if it is strict itself: every object says which fields
// it has and no others, every operation says what it is for.
//
// Only tests import this package.
package openapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// A Contract is one OpenAPI file and what was seen of it. It is safe for
// concurrent use.
type Contract struct {
	doc    *openapi3.T
	router routers.Router

	mu   sync.Mutex
	seen map[string]bool // "GET /v1/status 200"
}

// Load reads a file of OpenAPI 3.1 and checks it.
func Load(file string) (*Contract, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", file, err)
	}
	if err := errors.Join(doc.Validate(context.Background()), strict(doc)); err != nil {
		return nil, fmt.Errorf("check %s: %w", file, err)
	}
	doc.Servers = nil // calls come by any address
	router, err := legacy.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", file, err)
	}
	return &Contract{doc: doc, router: router, seen: map[string]bool{}}, nil
}

// Operations are the calls in the file, as "GET /v1/status", in order.
func (c *Contract) Operations() []string {
	var all []string
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			all = append(all, method+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

// Unseen are the answers in the file that no call has had yet, as
// "GET /v1/status 200", in order.
func (c *Contract) Unseen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status := range op.Responses.Map() {
				if call := method + " " + path + " " + status; !c.seen[call] {
					all = append(all, call)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// ErrorCodes are the words that the schema Error allows in its field error.
func (c *Contract) ErrorCodes() []string {
	ref := c.doc.Components.Schemas["Error"]
	if ref == nil || ref.Value.Properties["error"] == nil {
		return nil
	}
	var codes []string
	for _, v := range ref.Value.Properties["error"].Value.Enum {
		codes = append(codes, fmt.Sprint(v))
	}
	slices.Sort(codes)
	return codes
}

func (c *Contract) saw(route *routers.Route, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[route.Method+" "+route.Path+" "+strconv.Itoa(status)] = true
}

// strict refuses what would let anything pass.
func strict(doc *openapi3.T) error {
	var faults []error
	if doc.Components != nil {
		for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
			faults = append(faults, closed(name, doc.Components.Schemas[name]))
		}
		for _, name := range slices.Sorted(maps.Keys(doc.Components.Responses)) {
			faults = append(faults, closedContent(name, doc.Components.Responses[name].Value.Content))
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			call := method + " " + path
			if op.OperationID == "" || op.Summary == "" {
				faults = append(faults, fmt.Errorf("%s: give it an operationId and a summary", call))
			}
			if op.Responses.Default() != nil {
				faults = append(faults, fmt.Errorf("%s: \"default\" would let any status pass", call))
			}
			if op.RequestBody != nil {
				faults = append(faults, closedContent(call, op.RequestBody.Value.Content))
			}
			for status, r := range op.Responses.Map() {
				faults = append(faults, closedContent(call+" "+status, r.Value.Content))
				if len(r.Value.Content) == 0 {
					faults = append(faults, fmt.Errorf("%s %s: no content", call, status))
				}
			}
		}
	}
	return errors.Join(faults...)
}

func closedContent(at string, content openapi3.Content) error {
	var faults []error
	for media, m := range content {
		if m.Schema == nil {
			faults = append(faults, fmt.Errorf("%s: %s has no schema", at, media))
			continue
		}
		faults = append(faults, closed(at, m.Schema))
	}
	return errors.Join(faults...)
}

// closed demands that an object names its fields, or the shape of all of them.
// What is referred to is checked where it stands.
func closed(at string, ref *openapi3.SchemaRef) error {
	if ref == nil || ref.Value == nil {
		return nil
	}
	s := ref.Value
	var faults []error
	if s.Type.Is("object") && (s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has) && s.AdditionalProperties.Schema == nil {
		faults = append(faults, fmt.Errorf("%s: an object that takes any field: say additionalProperties: false", at))
	}
	for _, inner := range slices.Concat(s.OneOf, s.AnyOf, s.AllOf, openapi3.SchemaRefs{s.Items, s.AdditionalProperties.Schema}) {
		if inner != nil && inner.Ref == "" {
			faults = append(faults, closed(at, inner))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if p := s.Properties[name]; p.Ref == "" {
			faults = append(faults, closed(at+"."+name, p))
		}
	}
	return errors.Join(faults...)
}
