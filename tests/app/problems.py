"""What every error of the API must look like."""


def assert_problem(answer, status, code=None, field=None, limit=None):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json() if callable(answer.json) else answer.json
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["type"] == f"/docs#problem-{problem['code']}"
    assert "Traceback" not in answer.text
    if code is not None:
        assert problem["code"] == code
    if field is not None:
        errors = {error["field"]: error for error in problem["errors"]}
        assert field in errors, problem
        assert field in problem["detail"]
        if limit is not None:
            assert errors[field]["limit"] == limit
            assert str(limit) in errors[field]["detail"]
    return problem
