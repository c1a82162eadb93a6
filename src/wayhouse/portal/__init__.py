"""The gateway's web page: server-rendered HTML, a little JavaScript, no build step."""
