"""A match over every event ends: `assert_never` holds. A new event belongs here; test_typing.py says which.

Checked by test_typing.py, never run.
"""

from __future__ import annotations

from typing import assert_never

from responses_proto.models import (
    ApplyPatchCallOperationDiffDelta,
    ApplyPatchCallOperationDiffDone,
    AudioDelta,
    AudioDone,
    AudioTranscriptDelta,
    AudioTranscriptDone,
    CodeInterpreterCallCodeDelta,
    CodeInterpreterCallCodeDone,
    CodeInterpreterCallCompleted,
    CodeInterpreterCallInProgress,
    CodeInterpreterCallInterpreting,
    CompactionCompacting,
    ContentPartAdded,
    ContentPartDone,
    CustomToolCallInputDelta,
    CustomToolCallInputDone,
    ErrorEvent,
    Event,
    FileSearchCallCompleted,
    FileSearchCallInProgress,
    FileSearchCallSearching,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    ImageGenerationCallCompleted,
    ImageGenerationCallGenerating,
    ImageGenerationCallInProgress,
    ImageGenerationCallPartialImage,
    InjectCreated,
    InjectFailed,
    Keepalive,
    McpCallArgumentsDelta,
    McpCallArgumentsDone,
    McpCallCompleted,
    McpCallFailed,
    McpCallInProgress,
    McpListToolsCompleted,
    McpListToolsFailed,
    McpListToolsInProgress,
    OutputItemAdded,
    OutputItemDone,
    OutputTextAnnotationAdded,
    OutputTextDelta,
    OutputTextDone,
    RateLimitsUpdated,
    ReasoningDelta,
    ReasoningDone,
    ReasoningPartAdded,
    ReasoningPartDone,
    ReasoningSummaryPartAdded,
    ReasoningSummaryPartDone,
    ReasoningSummaryTextDelta,
    ReasoningSummaryTextDone,
    ReasoningTextDelta,
    ReasoningTextDone,
    RefusalDelta,
    RefusalDone,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseQueued,
    ShellCallCommandAdded,
    ShellCallCommandDelta,
    ShellCallCommandDone,
    ShellCallOutputContentDelta,
    ShellCallOutputContentDone,
    SteerAccepted,
    SteerFailed,
    SteerPending,
    UnknownEvent,
    WebSearchCallCompleted,
    WebSearchCallInProgress,
    WebSearchCallSearching,
)


def number_of(event: Event) -> int:  # noqa: C901, PLR0911, PLR0912, PLR0915 - one case for each event is what is checked
    """Return a number for each kind of event."""
    match event:
        case ResponseCreated():
            return 0
        case ResponseQueued():
            return 1
        case ResponseInProgress():
            return 2
        case ResponseCompleted():
            return 3
        case ResponseIncomplete():
            return 4
        case ResponseFailed():
            return 5
        case OutputItemAdded():
            return 6
        case OutputItemDone():
            return 7
        case ContentPartAdded():
            return 8
        case ContentPartDone():
            return 9
        case OutputTextDelta():
            return 10
        case OutputTextDone():
            return 11
        case OutputTextAnnotationAdded():
            return 12
        case RefusalDelta():
            return 13
        case RefusalDone():
            return 14
        case AudioDelta():
            return 15
        case AudioDone():
            return 16
        case AudioTranscriptDelta():
            return 17
        case AudioTranscriptDone():
            return 18
        case ReasoningTextDelta():
            return 19
        case ReasoningTextDone():
            return 20
        case ReasoningDelta():
            return 21
        case ReasoningDone():
            return 22
        case ReasoningPartAdded():
            return 23
        case ReasoningPartDone():
            return 24
        case ReasoningSummaryPartAdded():
            return 25
        case ReasoningSummaryPartDone():
            return 26
        case ReasoningSummaryTextDelta():
            return 27
        case ReasoningSummaryTextDone():
            return 28
        case FunctionCallArgumentsDelta():
            return 29
        case FunctionCallArgumentsDone():
            return 30
        case CustomToolCallInputDelta():
            return 31
        case CustomToolCallInputDone():
            return 32
        case ShellCallCommandAdded():
            return 33
        case ShellCallCommandDelta():
            return 34
        case ShellCallCommandDone():
            return 35
        case ShellCallOutputContentDelta():
            return 36
        case ShellCallOutputContentDone():
            return 37
        case ApplyPatchCallOperationDiffDelta():
            return 38
        case ApplyPatchCallOperationDiffDone():
            return 39
        case WebSearchCallInProgress():
            return 40
        case WebSearchCallSearching():
            return 41
        case WebSearchCallCompleted():
            return 42
        case FileSearchCallInProgress():
            return 43
        case FileSearchCallSearching():
            return 44
        case FileSearchCallCompleted():
            return 45
        case CodeInterpreterCallInProgress():
            return 46
        case CodeInterpreterCallInterpreting():
            return 47
        case CodeInterpreterCallCompleted():
            return 48
        case CodeInterpreterCallCodeDelta():
            return 49
        case CodeInterpreterCallCodeDone():
            return 50
        case ImageGenerationCallInProgress():
            return 51
        case ImageGenerationCallGenerating():
            return 52
        case ImageGenerationCallPartialImage():
            return 53
        case ImageGenerationCallCompleted():
            return 54
        case McpListToolsInProgress():
            return 55
        case McpListToolsCompleted():
            return 56
        case McpListToolsFailed():
            return 57
        case McpCallInProgress():
            return 58
        case McpCallCompleted():
            return 59
        case McpCallFailed():
            return 60
        case McpCallArgumentsDelta():
            return 61
        case McpCallArgumentsDone():
            return 62
        case CompactionCompacting():
            return 63
        case SteerAccepted():
            return 64
        case SteerPending():
            return 65
        case SteerFailed():
            return 66
        case InjectCreated():
            return 71
        case InjectFailed():
            return 72
        case ErrorEvent():
            return 67
        case Keepalive():
            return 68
        case RateLimitsUpdated():
            return 69
        case UnknownEvent():
            return 70
        case _:
            assert_never(event)
