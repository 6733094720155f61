using System.Globalization;

namespace Collective.EndToEnd.Peer;

/// <summary>What a process can do to itself.</summary>
internal enum HarmKind
{
    /// <summary>SIGKILL.</summary>
    Die,

    /// <summary>SIGSTOP: the test wakes it again.</summary>
    Freeze,

    /// <summary>All data connections are shut down, in and out.</summary>
    BreakLinks,

    /// <summary>All connections to the next peer are reset.</summary>
    ResetLink,

    /// <summary>One connection to the next peer is reset.</summary>
    ResetStripe,
}

/// <summary>At which protocol point, and at which occurrence of it.</summary>
internal sealed record Harm(HarmKind Kind, string Point, int Occurrence);

/// <summary>What a test tells a peer process on its command line, as <c>--name value</c>.</summary>
internal sealed record Settings
{
    public required string Master { get; init; }

    public int MinimumWorldSize { get; init; } = 1;

    public uint Group { get; init; }

    /// <summary>What this process does to itself, each once.</summary>
    public IReadOnlyList<Harm> Harms { get; init; } = [];

    /// <summary>Whether it makes all threads that it will have before anything else.</summary>
    public bool MakesThreadsFirst { get; init; }

    /// <summary>File descriptors that it allows itself before it connects; 0: as many as it has.</summary>
    public int Descriptors { get; init; }

    /// <summary>How long bytes to the next peer may wait without progress.</summary>
    public int StallTimeoutMs { get; init; } = 10_000;

    /// <summary>Connect again, in the same process, after being evicted or losing the master.</summary>
    public bool Rejoin { get; init; }

    /// <summary>Say when a heartbeat of the master has come.</summary>
    public bool ReportHeartbeats { get; init; }

    /// <summary>Protocol point at which whoever passes waits until "release" arrives on standard input.</summary>
    public string? HoldAt { get; init; }

    /// <summary>Bytes of a shared state that is synchronised once, instead of rounds; 0: rounds.</summary>
    public int SyncBytes { get; init; }

    /// <summary>The name of the tensor that is synchronized.</summary>
    public string SyncKey { get; init; } = "tensor";

    /// <summary>Whether what is synchronised can be packed to a third.</summary>
    public bool Compressible { get; init; }

    /// <summary>Whether this peer takes the shared state or gives it.</summary>
    public bool Takes { get; init; }

    /// <summary>Leave after so many rounds; 0: when told to.</summary>
    public int Rounds { get; init; }

    /// <summary>Elements of the bulk operation of each round; 0: no such operation.</summary>
    public int BulkElements { get; init; }

    /// <summary>Ask whether peers are pending in each round.</summary>
    public bool AskPending { get; init; }

    /// <summary>Optimise the topology before the first round.</summary>
    public bool Optimize { get; init; }

    /// <summary>Begin the first round, and count protocol points, only when "go" arrives on standard input.</summary>
    public bool WaitForGo { get; init; }

    public static Settings Parse(string[] arguments)
    {
        var settings = new Settings { Master = "" };
        for (var i = 0; i + 1 < arguments.Length; i += 2)
        {
            var value = arguments[i + 1];
            settings = arguments[i] switch
            {
                "--master" => settings with { Master = value },
                "--minimum-world-size" => settings with { MinimumWorldSize = Number(value) },
                "--group" => settings with { Group = uint.Parse(value, CultureInfo.InvariantCulture) },
                "--die-at" => settings.With(HarmKind.Die, value),
                "--freeze-at" => settings.With(HarmKind.Freeze, value),
                "--break-links-at" => settings.With(HarmKind.BreakLinks, value),
                "--reset-link-at" => settings.With(HarmKind.ResetLink, value),
                "--reset-stripe-at" => settings.With(HarmKind.ResetStripe, value),
                "--stall-timeout-ms" => settings with { StallTimeoutMs = Number(value) },
                "--threads-first" => settings with { MakesThreadsFirst = bool.Parse(value) },
                "--descriptors" => settings with { Descriptors = Number(value) },
                "--hold-at" => settings with { HoldAt = value },
                "--sync-bytes" => settings with { SyncBytes = Number(value) },
                "--sync-key" => settings with { SyncKey = value },
                "--compressible" => settings with { Compressible = bool.Parse(value) },
                "--takes" => settings with { Takes = bool.Parse(value) },
                "--rejoin" => settings with { Rejoin = bool.Parse(value) },
                "--report-heartbeats" => settings with { ReportHeartbeats = bool.Parse(value) },
                "--rounds" => settings with { Rounds = Number(value) },
                "--bulk-elements" => settings with { BulkElements = Number(value) },
                "--ask-pending" => settings with { AskPending = bool.Parse(value) },
                "--optimize" => settings with { Optimize = bool.Parse(value) },
                "--wait-for-go" => settings with { WaitForGo = bool.Parse(value) },
                _ => throw new ArgumentException($"unknown argument {arguments[i]}"),
            };
        }

        return settings;
    }

    /// <summary><c>before-send:CollectiveDone#3</c>: the third time. Without a number the first.</summary>
    private Settings With(HarmKind kind, string text)
    {
        var parts = text.Split('#');
        return this with { Harms = [.. Harms, new Harm(kind, parts[0], parts.Length > 1 ? Number(parts[1]) : 1)] };
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
