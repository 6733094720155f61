using Collective.Protocol;

namespace Collective;

/// <content>What a communicator says about the program it is part of.</content>
public sealed partial class Communicator
{
    // By scope; they outlive a stay in a run.
    private readonly Dictionary<string, string> _fingerprints = [];

    /// <summary>
    /// Says what this peer runs: the master refuses a peer that waits to be admitted when its fingerprint is not that of the admitted members of its group, naming both. Say it before
    /// <see cref="ConnectAsync"/>, so that this peer is refused in time; once admitted, it counts for those who come later. Returns at once.
    /// </summary>
    /// <remarks>
    /// Only fingerprints of the same scope are compared, and only as long as all members that have announced one agree. Peers that have announced none are let in. It holds for later connects too.
    /// </remarks>
    /// <param name="fingerprint">Any text of at most 100 bytes of UTF-8; "" says that in this scope anything goes; <see langword="null"/> takes back what was announced.</param>
    /// <param name="scope">What it is a fingerprint of: "" is that of <see cref="CommunicatorOptions.Fingerprint"/>. At most 4 scopes.</param>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.InvalidArgument"/>: a text is too long. <see cref="ErrorCode.LimitExceeded"/>: too many scopes.</exception>
    public void Announce(string? fingerprint, string scope = "")
    {
        ArgumentNullException.ThrowIfNull(scope);
        RequireShort(fingerprint ?? "", "fingerprint");
        RequireShort(scope, "scope of a fingerprint");
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (fingerprint is null)
            {
                _fingerprints.Remove(scope);
            }
            else if (_fingerprints.Count >= Limits.FingerprintsMax && !_fingerprints.ContainsKey(scope))
            {
                throw new CollectiveException(ErrorCode.LimitExceeded, $"this peer has announced fingerprints in {Limits.FingerprintsMax} scopes, which is the maximum: take one back (null)");
            }
            else
            {
                _fingerprints[scope] = fingerprint;
            }

            _participation?.Announce(scope, fingerprint);
        }
    }

    private static void RequireShort(string text, string what)
    {
        var bytes = System.Text.Encoding.UTF8.GetByteCount(text);
        Require(bytes <= Limits.FingerprintBytesMax, $"the {what} has {bytes} bytes of UTF-8: use at most {Limits.FingerprintBytesMax}, such as a digest");
    }
}
