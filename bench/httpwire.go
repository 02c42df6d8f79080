package main

import "fmt"

// getRequest returns the bytes of an authenticated GET.
func getRequest(host, key, path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, host, key)
}

// postHead returns the bytes of a POST to a job up to its body of length bytes.
func postHead(host, key, job string, length int) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		collectionPath(job), host, key, length)
}
