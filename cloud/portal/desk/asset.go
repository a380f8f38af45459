package desk

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed assets
var assetFiles embed.FS

// assetNames are the names under which assets are served: with a part of their
// content's hash, so that browsers may keep them for ever.
var assetNames, assetContents = func() (map[string]string, map[string][]byte) {
	names, contents := map[string]string{}, map[string][]byte{}
	files, err := fs.Glob(assetFiles, "assets/*")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range files {
		content, err := assetFiles.ReadFile(file)
		if err != nil {
			panic(err) // it was listed
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(file)
		base := path.Base(file)
		served := base[:len(base)-len(ext)] + "." + hex.EncodeToString(sum[:6]) + ext
		names[base], contents[served] = served, content
	}
	return names, contents
}()

func assetPath(name string) (string, error) {
	served, ok := assetNames[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return "/assets/" + served, nil
}

// Asset serves the file named in the path.
func Asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, ok := assetContents[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(content) // the browser is gone if this fails
}
