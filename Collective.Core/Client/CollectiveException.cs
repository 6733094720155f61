namespace Collective;

/// <summary>Every failure of a public call. The message says what happened and what to do next.</summary>
public sealed class CollectiveException : Exception
{
    /// <summary>Creates the exception for <paramref name="code"/>.</summary>
    public CollectiveException(ErrorCode code, string message, Exception? innerException = null)
        : base(message, innerException)
    {
        Code = code;
    }

    /// <summary>What went wrong, for programs.</summary>
    public ErrorCode Code { get; }

    /// <summary>The membership in which the peers go on whose calls failed together; <see langword="null"/> when the failure concerns this call alone.</summary>
    public World? World { get; init; }
}
