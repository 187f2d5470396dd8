"""status: its rows have bounds."""


def test_status_shows_twenty_clients_and_how_many_more_there_are(shell, api):
    for number in range(23):
        api.get("/Users", headers={"User-Agent": f"client/{number}"})
    api.site.close()

    said = shell("status").out

    assert said.count("client/") == 20
    assert "and 3 more; --json has all that are kept" in said
    assert len(shell("status", "--json").json[0]["clients"]) == 23
