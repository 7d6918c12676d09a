"""One picture painted like another one by optimising its pixels: slow, and nothing is trained."""
