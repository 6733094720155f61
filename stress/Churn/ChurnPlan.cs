using System.Globalization;

namespace Collective.Stress.Churn;

/// <summary>What can happen to a run.</summary>
internal enum ChurnKind
{
    /// <summary>SIGKILL, of one peer or of several at once.</summary>
    Kill,

    /// <summary>SIGSTOP, and SIGCONT before or after the heartbeat timeout.</summary>
    Freeze,

    /// <summary>A clean leave in the middle of the others' operations.</summary>
    Leave,

    /// <summary>A new process joins.</summary>
    Join,

    /// <summary>One stripe, or all of a link, is shut down between two living peers.</summary>
    Reset,

    /// <summary>Packets to and from a peer's host are dropped for a while, and nobody is told.</summary>
    Blackhole,

    /// <summary>A peer gets no more file descriptors for a while.</summary>
    Starve,
}

/// <summary>What a run of the churn program does.</summary>
internal sealed record ChurnPlan
{
    public const int PeersMin = 2;
    public const int PeersMax = 16;
    public const int PeersDefault = 6;
    public const int SeedDefault = 1;
    public const double MinutesMin = 0.05;
    public const double MinutesMax = 60 * 24;
    public const double MinutesDefault = 1;
    public const double RateMin = 0;
    public const double RateMax = 10;
    public const double RateDefault = 1;
    public const double MisfitsDefault = 0;

    /// <summary>Connections of each link.</summary>
    public const int StripeCount = 2;

    /// <summary>What a peer gives of its shared state: a newcomer takes long enough to be hit, or to lose who gives.</summary>
    public const long StateUploadBytesPerSecond = 8L << 20;

    /// <summary>Peers at the beginning; and with so few, newcomers come.</summary>
    public const int Founders = 2;

    public static readonly TimeSpan HeartbeatTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Longest time without a commit while two healthy peers are connected.</summary>
    public static readonly TimeSpan StallMax = TimeSpan.FromSeconds(10);

    /// <summary>Silence begins up to one heartbeat interval before a freeze does: a freeze that is shorter than this must not cost the peer its place.</summary>
    public static readonly TimeSpan FreezeInnocent = HeartbeatTimeout - TimeSpan.FromSeconds(1);

    /// <summary>TCP doubles its pause between retransmissions: after packets were dropped for this long, silence can last as long again.</summary>
    public static readonly TimeSpan BlackholeInnocent = TimeSpan.FromSeconds(2);

    public double Minutes { get; init; } = MinutesDefault;

    public int Peers { get; init; } = PeersDefault;

    /// <summary>Events per second, on average.</summary>
    public double Rate { get; init; } = RateDefault;

    public int Seed { get; init; } = SeedDefault;

    /// <summary>Share of the newcomers that do not fit.</summary>
    public double Misfits { get; init; } = MisfitsDefault;

    public IReadOnlyList<ChurnKind> Mix { get; init; } = Enum.GetValues<ChurnKind>();

    public TimeSpan Length => TimeSpan.FromMinutes(Minutes);

    /// <summary>The kinds in a list like <c>kill,freeze</c>; null if it names something else.</summary>
    public static IReadOnlyList<ChurnKind>? ParseMix(string text)
    {
        var kinds = new List<ChurnKind>();
        foreach (var name in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var kind = Enum.GetValues<ChurnKind>().Cast<ChurnKind?>().FirstOrDefault(kind => kind.ToString()!.Equals(name, StringComparison.OrdinalIgnoreCase));
            if (kind is null)
            {
                return null;
            }

            kinds.Add(kind.Value);
        }

        return [.. kinds.Distinct().Order()];
    }

    public static string Text(IEnumerable<ChurnKind> mix) => string.Join(',', mix.Select(kind => kind.ToString().ToLowerInvariant()));

    /// <summary>The command line that has this plan.</summary>
    public string Command() => string.Create(
        CultureInfo.InvariantCulture,
        $"dotnet run -c Release --project stress -- churn --minutes {Minutes} --peers {Peers} --rate {Rate} --seed {Seed} --mix {Text(Mix)}{(Misfits > 0 ? $" --misfits {Misfits}" : "")}");
}
