package main

import (
	"fmt"
	"math/rand/v2"
)

const baseSkill = "@perstack/base"

// tool is one tool that the simulated model calls, and the type of the action
// that its call must give (the section "action" of the semantics).
type tool struct {
	skill, name string
	action      string
	// call makes the arguments and the text of the result.
	call func(rng *rand.Rand) (args any, result string)
}

// object is a JSON object; its keys are encoded in order, so that equal seeds
// give equal bytes.
type object = map[string]any

// simpleTools are the tools whose call and result travel in one checkpoint
// while the run goes on: every action type but attemptCompletion,
// interactiveTool, delegate and retry, and one that fails.
var simpleTools = []tool{
	{baseSkill, "todo", "todo", func(rng *rand.Rand) (any, string) {
		titles := []string{prose(rng, 30), prose(rng, 24)}
		return object{"newTodos": titles, "completedTodos": []int{0}},
			resultText(object{"todos": []object{
				{"id": 0, "title": titles[0], "completed": true},
				{"id": 1, "title": titles[1], "completed": false},
			}})
	}},
	{baseSkill, "think", "think", func(rng *rand.Rand) (any, string) {
		return object{"thought": prose(rng, 200+rng.IntN(400))}, "{}"
	}},
	{baseSkill, "readTextFile", "readTextFile", func(rng *rand.Rand) (any, string) {
		path := filePath(rng, "go")
		return object{"path": path, "from": 0, "to": 80},
			resultText(object{"path": path, "content": prose(rng, 1000+rng.IntN(5000)), "from": 0, "to": 80})
	}},
	{baseSkill, "readImageFile", "readImageFile", func(rng *rand.Rand) (any, string) {
		path := filePath(rng, "png")
		return object{"path": path}, resultText(object{"path": path, "mimeType": "image/png", "size": 1000 + rng.IntN(90000)})
	}},
	{baseSkill, "readPdfFile", "readPdfFile", func(rng *rand.Rand) (any, string) {
		path := filePath(rng, "pdf")
		return object{"path": path}, resultText(object{"path": path, "mimeType": "application/pdf", "size": 1000 + rng.IntN(900000)})
	}},
	{baseSkill, "editTextFile", "editTextFile", func(rng *rand.Rand) (any, string) {
		o := object{"path": filePath(rng, "go"), "oldText": prose(rng, 120), "newText": prose(rng, 160)}
		return o, resultText(o)
	}},
	{baseSkill, "appendTextFile", "appendTextFile", func(rng *rand.Rand) (any, string) {
		o := object{"path": filePath(rng, "md"), "text": "- " + prose(rng, 90) + "\n"}
		return o, resultText(o)
	}},
	{baseSkill, "writeTextFile", "writeTextFile", func(rng *rand.Rand) (any, string) {
		o := object{"path": filePath(rng, "md"), "text": "# Notes\n\n" + prose(rng, 500+rng.IntN(2000))}
		return o, resultText(o)
	}},
	{baseSkill, "deleteFile", "deleteFile", func(rng *rand.Rand) (any, string) {
		o := object{"path": filePath(rng, "tmp")}
		return o, resultText(o)
	}},
	{baseSkill, "moveFile", "moveFile", func(rng *rand.Rand) (any, string) {
		o := object{"source": filePath(rng, "md"), "destination": filePath(rng, "md")}
		return o, resultText(o)
	}},
	{baseSkill, "getFileInfo", "getFileInfo", func(rng *rand.Rand) (any, string) {
		path := filePath(rng, "go")
		return object{"path": path}, resultText(object{
			"exists": true, "path": path, "absolutePath": path, "name": "main.go", "directory": "/workspace",
			"extension": ".go", "type": "file", "mimeType": "text/plain", "size": 1536, "sizeFormatted": "1.50 KB",
			"created": fileTime, "modified": fileTime, "accessed": fileTime,
			"permissions": object{"readable": true, "writable": true, "executable": false},
		})
	}},
	{baseSkill, "createDirectory", "createDirectory", func(rng *rand.Rand) (any, string) {
		o := object{"path": filePath(rng, "d")}
		return o, resultText(o)
	}},
	{baseSkill, "listDirectory", "listDirectory", func(rng *rand.Rand) (any, string) {
		items := make([]object, 3+rng.IntN(20))
		for i := range items {
			name := fmt.Sprintf("file-%02d.go", i)
			items[i] = object{"name": name, "path": name, "type": "file", "size": rng.IntN(9000), "modified": fileTime}
		}
		return object{"path": "."}, resultText(object{"path": "/workspace", "items": items})
	}},
	{baseSkill, "testUrl", "testUrl", func(rng *rand.Rand) (any, string) {
		url := fmt.Sprintf("https://example.com/?page=%d&view=<all>", rng.IntN(1000))
		return object{"urls": []string{url}}, resultText(object{"results": []object{
			{"url": url, "status": 200, "title": "Example Domain", "description": prose(rng, 60)},
		}})
	}},
	{"web-search", "search", "generalTool", func(rng *rand.Rand) (any, string) {
		return object{"query": prose(rng, 40), "limit": 5}, "1. https://go.dev\n" + prose(rng, 400+rng.IntN(800))
	}},
	{baseSkill, "readTextFile", "error", func(rng *rand.Rand) (any, string) {
		path := filePath(rng, "go")
		return object{"path": path}, resultText(object{"error": "Error", "message": "File " + path + " does not exist."})
	}},
}

// completionTool ends a run.
var completionTool = tool{baseSkill, "attemptCompletion", "attemptCompletion",
	func(*rand.Rand) (any, string) { return object{}, "{}" }}

const fileTime = "2026-01-02T03:04:05.678Z"

// filePath returns a path in the simulated workspace.
func filePath(rng *rand.Rand, extension string) string {
	return fmt.Sprintf("/workspace/%s/%s-%d.%s",
		vocabulary[rng.IntN(len(vocabulary))], vocabulary[rng.IntN(len(vocabulary))], rng.IntN(100), extension)
}

// resultText is how the base skill reports: JSON in a text part.
func resultText(v any) string { return string(mustJSON(v)) }
