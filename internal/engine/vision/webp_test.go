package vision_test

const webp64Base64 = "UklGRjwAAABXRUJQVlA4TC8AAAAvP8ALAB8wCwISwitPzZWAhMj/A4b4Z/4DN5gJZNI2ZR4nfY6qYFdE/yegvuB/BwA="
