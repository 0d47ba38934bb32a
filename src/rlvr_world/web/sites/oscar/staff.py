"""Who may use the shop's dashboard; the shop is on loopback and holds nothing to protect."""

NAME = "keeper"
EMAIL = "keeper@shop.example"
PASSWORD = "open-sesame-42"
SESSION = "keeperloggedinforrecording000000"
"""The key of a session in which the keeper is logged in; the value of the cookie ``sessionid``."""
